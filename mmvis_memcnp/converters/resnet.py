"""ResNet of the detectron2 code bases to mmdet's."""


def resnet_rules(old: str, new: str) -> tuple[tuple[str, str], ...]:
    """Rules of a :class:`KeyMap`.

    Args:
        old: pattern of what stands before the backbone's names, without
            groups.
        new: what stands before them here, such as ``'backbone.'``.
    """
    return ((old + r'stem\.conv1\.norm\.', new + 'bn1.'),
            (old + r'stem\.conv1\.', new + 'conv1.'),
            *(rule for number in (2, 3, 4, 5)
              for rule in _stage(number, old, new)))


def _stage(number: int, old: str, new: str) -> tuple[tuple[str, str], ...]:
    """Detectron2's ``res<number>`` to mmdet's ``layer<number - 1>``."""
    theirs = rf'{old}res{number}\.(\d+)\.'
    ours = rf'{new}layer{number - 1}.\1.'
    return ((theirs + r'conv(\d)\.norm\.', ours + r'bn\2.'),
            (theirs + r'conv(\d)\.', ours + r'conv\2.'),
            (theirs + r'shortcut\.norm\.', ours + 'downsample.1.'),
            (theirs + r'shortcut\.', ours + 'downsample.0.'))
