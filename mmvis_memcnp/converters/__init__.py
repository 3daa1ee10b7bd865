"""Official checkpoints to the key names of this package."""
from collections.abc import Iterable

from ..errors import UserError
from .base import KeyMap, check_against
from .dvis_daq import DVIS_DAQ
from .idol import IDOL
from .instanceformer import INSTANCEFORMER
from .mask2former import CTVIS, MASK2FORMER
from .mask2former_huggingface import MASK2FORMER_HUGGINGFACE
from .mask2former_mmdet import MMDET_MASK2FORMER, MMDET_MASK2FORMER_VIS
from .o2vis import DVIS_TRACKER, O2VIS
from .seqformer import SEQFORMER
from .sipmask import MEMCNP_SIPMASK, SIPMASK
from .swin import SWIN, swin_rules, swin_values
from .videomt import (
    EOMT,
    EOMT_HUGGING_FACE,
    VIDEOMT,
    VIDEOMT_HUGGING_FACE,
    VIDEOMT_SEGMENTER,
)
from .vit_adapter import VIT_ADAPTER
from .without_segmenter import WITHOUT_SEGMENTER

#: Key map of each official code base, by the name of its system. Of two that
#: share a marker the first is meant: CTVIS is a Mask2Former and more, DVIS-DAQ
#: a CTVIS and more, and DVIS++ has the tracker's names of DVIS-DAQ.
KEY_MAPS: dict[str, KeyMap] = dict(
    sipmask=SIPMASK,
    memcnp_sipmask=MEMCNP_SIPMASK,
    idol=IDOL,
    seqformer=SEQFORMER,
    instanceformer=INSTANCEFORMER,
    dvis_daq=DVIS_DAQ,
    o2vis=O2VIS,
    dvis_tracker=DVIS_TRACKER,
    ctvis=CTVIS,
    mask2former=MASK2FORMER,
    mask2former_huggingface=MASK2FORMER_HUGGINGFACE,
    mask2former_mmdet=MMDET_MASK2FORMER,
    mask2former_vis_mmdet=MMDET_MASK2FORMER_VIS,
    videomt=VIDEOMT,
    videomt_segmenter=VIDEOMT_SEGMENTER,
    eomt=EOMT,
    videomt_huggingface=VIDEOMT_HUGGING_FACE,
    eomt_huggingface=EOMT_HUGGING_FACE,
    without_segmenter=WITHOUT_SEGMENTER)


def guess_system(names: Iterable[str]) -> str | None:
    """The system whose checkpoints hold tensors of these names, if known."""
    names = set(names)
    return next((system for system, key_map in KEY_MAPS.items()
                 if key_map.marker in names), None)


def check_converted(names: Iterable[str], own: Iterable[str]) -> None:
    """Insist that tensors have no names that only a key map knows.

    Args:
        names: Of the tensors of a checkpoint.
        own: Of the tensors of the model. A name that both have says nothing:
            some of our names are those of the official code.

    Raises:
        UserError: naming the command that gives them those of today.
    """
    system = guess_system(set(names) - set(own))
    # Where no rule changes a name, ours are the official ones.
    if system is not None and KEY_MAPS[system].rules:
        raise UserError(
            f'The tensors of the checkpoint have the names of {system!r}, not '
            'those of this version: convert it with python '
            'tools/model_converters/convert_checkpoint.py CHECKPOINT OUT '
            '--config CONFIG.')


__all__ = [
    'KEY_MAPS', 'SWIN', 'VIT_ADAPTER', 'KeyMap', 'check_against',
    'check_converted', 'guess_system', 'swin_rules', 'swin_values'
]
