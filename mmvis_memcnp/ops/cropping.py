"""CropSplit: a mask assembled from the masks of the cells of its box.

Cao et al., "SipMask: Spatial Information Preservation for Fast Image and
Video Instance Segmentation", ECCV 2020, section 3.2.
"""
import torch
from torch import Tensor

from ..compat.announce import announce
from . import library
from .crop_split_torch import crop_split as crop_split_twin


def _compiled(data: Tensor) -> bool:
    """The one place that picks, and says, which implementation runs."""
    device = data.device.type
    if library.compiled_for(device):
        announce(f'crop_split on {device}: compiled.')
        return True
    reason = library.load() or f'not built for {device}'
    announce(f'crop_split on {device}: PyTorch ({reason}); `make ops` '
             'compiles it.')
    return False


def _check(name: str, data: Tensor, rois: Tensor, maps: tuple[str, int],
           c: int) -> None:
    layout, dims = maps
    if c < 1:
        raise ValueError(f'{name}: c must be at least 1, not {c}.')
    if data.dim() != dims or (dims == 4 and len(data) != c * c):
        raise ValueError(f'{name}: data must be {layout} with c={c}, not of '
                         f'shape {tuple(data.shape)}.')
    if rois.shape != (data.shape[-1], 4):
        raise ValueError(
            f'{name}: rois must be (n, 4) with n={data.shape[-1]} as in '
            f'data, not of shape {tuple(rois.shape)}.')
    if not data.is_floating_point() or not rois.is_floating_point():
        raise ValueError(f'{name}: data and rois must be floating point, not '
                         f'{data.dtype} and {rois.dtype}.')


def crop_split(data: Tensor, rois: Tensor, c: int) -> Tensor:
    """Take each pixel of a box from the mask of the cell it lies in.

    Pixel (row r, column q) is inside a box if ``x1 <= q < x2`` and
    ``y1 <= r < y2``. A box is split into c by c cells, each
    ``(x2 - x1 + 0.1) / c`` by ``(y2 - y1 + 0.1) / c``, numbered row by row.
    Boxes may reach beyond the map; an empty or reversed box, or one with NaN,
    gives zeros. Differentiable in ``data``, not in ``rois``.

    Args:
        data (Tensor): (c*c, h, w, n) a mask of each cell, for n boxes; any
            floating type.
        rois (Tensor): (n, 4) x1, y1, x2, y2 in pixels of the map.
        c (int): Cells along either axis.

    Returns:
        Tensor: (h, w, n), zero outside the boxes.

    Raises:
        ValueError: If shapes or types do not fit.
    """
    _check('crop_split', data, rois, ('(c*c, h, w, n)', 4), c)
    if _compiled(data):
        return torch.ops.mmvis.crop_split(data, rois, c)
    return crop_split_twin(data, rois, c)


def crop_split_gt(data: Tensor, rois: Tensor, c: int = 1) -> Tensor:
    """Keep ground-truth masks inside their box, zero outside.

    Args:
        data (Tensor): (h, w, n), any floating type.
        rois (Tensor): (n, 4) x1, y1, x2, y2 in pixels of the map.
        c (int): Cells of the :func:`crop_split` whose result this is compared
            with. A mask is the same in every cell, so the result does not
            depend on it. Defaults to 1.

    Returns:
        Tensor: (h, w, n).

    Raises:
        ValueError: If shapes or types do not fit.
    """
    _check('crop_split_gt', data, rois, ('(h, w, n)', 3), c)
    if _compiled(data):
        return torch.ops.mmvis.crop_split_gt(data, rois)
    return crop_split_twin(data[None], rois, 1)
