"""ViT-Adapter of the DVIS++ code base, in its memory-saving form."""
from .base import KeyMap

_STAGE = r'interactions\.'


def vit_adapter_rules(old: str = '',
                      new: str = '') -> tuple[tuple[str, str], ...]:
    """Rules of a :class:`KeyMap`.

    Args:
        old: pattern of what stands before the backbone's names, without
            groups.
        new: what stands before them here, such as ``'backbone.'``.
    """
    layer = old + _STAGE + r'(\d)\.extractor\.'
    # The extra layers stand behind that of the last stage.
    extra = old + _STAGE + r'3\.extra_extractors\.'
    places = [(layer, new + r'extractors.\1.')] + [
        (extra + rf'{n}\.', new + f'extractors.{4 + n}.') for n in range(6)]
    return (
        (old + r'vit_module\.', new + 'vit.'),
        (old + r'spm\.stem\.', new + 'prior.stem.'),
        *((old + rf'spm\.conv{n + 2}\.', new + f'prior.steps.{n}.')
          for n in range(3)),
        *((old + rf'spm\.fc{n + 1}\.', new + f'prior.projections.{n}.')
          for n in range(4)),
        *((theirs + r'ffn\.dwconv\.', ours + 'ffn.')
          for theirs, ours in places),
        *places,
        (old + r'(level_embed$|up\.|norm\d\.)', new + r'\1'),
    )


def vit_adapter_ignored(old: str = '') -> tuple[tuple[str, str], ...]:
    """Tensors without a counterpart; ``old`` as in the rules."""
    return ((old + r'vit_module\.(mask_token$|norm\.)',
             'mask token and last norm of the ViT, which nothing reads'), )


#: A bare backbone.
VIT_ADAPTER = KeyMap('spm.fc1.weight', vit_adapter_rules(),
                     ignored=vit_adapter_ignored())
