"""Class lists of the public VIS data sets."""
from collections.abc import Sequence

# The order is the order of the ids in the released json: id = position + 1.
YOUTUBE_VIS_2019 = (
    'person', 'giant_panda', 'lizard', 'parrot', 'skateboard', 'sedan', 'ape',
    'dog', 'snake', 'monkey', 'hand', 'rabbit', 'duck', 'cat', 'cow', 'fish',
    'train', 'horse', 'turtle', 'bear', 'motorbike', 'giraffe', 'leopard',
    'fox', 'deer', 'owl', 'surfboard', 'airplane', 'truck', 'zebra', 'tiger',
    'elephant', 'snowboard', 'boat', 'shark', 'mouse', 'frog', 'eagle',
    'earless_seal', 'tennis_racket')

# YouTube-VIS 2022 keeps the list of 2021.
YOUTUBE_VIS_2021 = (
    'airplane', 'bear', 'bird', 'boat', 'car', 'cat', 'cow', 'deer', 'dog',
    'duck', 'earless_seal', 'elephant', 'fish', 'flying_disc', 'fox', 'frog',
    'giant_panda', 'giraffe', 'horse', 'leopard', 'lizard', 'monkey',
    'motorbike', 'mouse', 'parrot', 'person', 'rabbit', 'shark', 'skateboard',
    'snake', 'snowboard', 'squirrel', 'surfboard', 'tennis_racket', 'tiger',
    'train', 'truck', 'turtle', 'whale', 'zebra')

# 'Vehical' is how the released json spells it.
OVIS = ('Person', 'Bird', 'Cat', 'Dog', 'Horse', 'Sheep', 'Cow', 'Elephant',
        'Bear', 'Zebra', 'Giraffe', 'Poultry', 'Giant_panda', 'Lizard',
        'Parrot', 'Monkey', 'Rabbit', 'Tiger', 'Fish', 'Turtle', 'Bicycle',
        'Motorcycle', 'Airplane', 'Boat', 'Vehical')

KNOWN_LISTS = {
    'YouTubeVIS2019': YOUTUBE_VIS_2019,
    'YouTubeVIS2021 and YouTubeVIS2022': YOUTUBE_VIS_2021,
    'OVIS': OVIS
}


def name_of_list(classes: Sequence[str]) -> str | None:
    """Name of the public data set whose class list this is, if any."""
    for name, known in KNOWN_LISTS.items():
        if set(classes) == set(known):
            return name
    return None


def check_classes(classes: object) -> tuple[str, ...]:
    """Turn a config's ``classes`` into a tuple of names.

    Args:
        classes: What ``metainfo['classes']`` holds.

    Returns:
        The names, in label order.

    Raises:
        ValueError: If it is not a sequence of different names.
    """
    if isinstance(classes, str):
        raise ValueError(
            f'metainfo classes is the string {classes!r}; write a tuple of '
            f'names, also for one class: classes=({classes!r}, ).')
    if (not isinstance(classes, Sequence) or len(classes) == 0
            or not all(isinstance(name, str) for name in classes)):
        raise ValueError(
            f'metainfo classes is {classes!r}; write a tuple of class names, '
            "for example metainfo=dict(classes=('cat', 'dog')).")
    repeated = sorted({c for c in classes if list(classes).count(c) > 1})
    if repeated:
        raise ValueError(
            f'metainfo classes names {repeated[0]!r} more than once; give '
            'every class one name.')
    return tuple(classes)


def dataset_classes(dataset: dict) -> tuple[str, ...] | None:
    """Label space of a data set config, without building the data set.

    It is ``metainfo['classes']`` of the config, else what the data set's
    class says of its config (``classes_of``, which for a
    :class:`VISDataset` without a list reads the json), else its
    ``METAINFO``. Wrappers are looked through; all members must agree.

    Args:
        dataset (dict): Config of a data set.

    Returns:
        tuple[str] | None: The class names; None if nothing says them.

    Raises:
        ValueError: If the members of a wrapper disagree.
    """
    metainfo = dataset.get('metainfo') or {}
    if 'classes' in metainfo:
        return check_classes(metainfo['classes'])
    if 'dataset' in dataset or 'datasets' in dataset:
        members = list(dataset.get('datasets') or [dataset['dataset']])
        found = [c for c in map(dataset_classes, members) if c is not None]
        if any(c != found[0] for c in found):
            raise ValueError(
                'The data sets that are trained together have different '
                'class lists; give all of them the same '
                'metainfo=dict(classes=...).')
        return found[0] if found else None
    # Here, because class lists are read without mmdet, too.
    from mmdet.registry import DATASETS
    cls = dataset['type']
    cls = DATASETS.get(cls) if isinstance(cls, str) else cls
    if hasattr(cls, 'classes_of'):
        classes = cls.classes_of(dataset)
    else:
        classes = getattr(cls, 'METAINFO', {}).get('classes')
    return None if classes is None else check_classes(classes)
