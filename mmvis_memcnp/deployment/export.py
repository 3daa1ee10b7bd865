"""The network of single frames of a system, written as ONNX."""
from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..models.vis.base import VIS
from ..results.pixels import FrameMeta
from .frame_file import BEFORE, CARRIED, KEY, fingerprint, flat_names
from .onnx_network import OnnxNetwork

#: The first with GridSample is 16; 18 is what PyTorch's exporter writes.
OPSET = 18


class FrameNetwork(nn.Module):
    """``VIS.network`` as a module: tensors to a tuple of tensors.

    Args:
        model (VIS): The system, in evaluation mode.
    """

    def __init__(self, model: VIS) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`VIS.network`; the order is that of its fields."""
        return tuple(
            tensor for _, tensor in flat_names(self.model.network(*inputs)))


def export_onnx(model: VIS,
                path: str | Path,
                input_hw: tuple[int, int],
                meta: Mapping[str, Any] | None = None,
                any_size: bool = True) -> None:
    """Write the network of single frames of a system as ONNX.

    Deformable attention and convolution are written as ``GridSample``, so
    that no operator has to be compiled. Frames go through the file one by
    one.

    Args:
        model (VIS): With its weights, in evaluation mode, on the CPU.
        path (str | Path): File to write.
        input_hw (tuple[int, int]): Height and width of the padded input that
            is traced; the only one of a file with ``any_size=False``.
        meta (Mapping[str, Any], optional): ``meta`` of a checkpoint, kept in
            the file as json. Defaults to None.
        any_size (bool): Whether heights and widths may be any multiples of
            the model's ``pad_size_divisor``, at least twice of it. Defaults
            to True.

    Raises:
        UserError: If onnx is not installed, the system has no such network,
            or it depends on the size of its input.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError('Exporting needs onnx and onnxscript: pip install '
                        '"mmvis-memcnp[export]".') from error
    if not can_export(model):
        raise UserError(
            f'{type(model).__name__} has no network of single frames that '
            'could be exported: SipMaskVIS, IDOL, MinVIS, CTVIS and VidEoMT '
            'have one.')
    example = dict(frames=torch.zeros(1, 3, *input_hw),
                   sizes=torch.tensor([input_hw]))
    axes, carried = _frame_axes(model, *example.values())
    if carried is not None:
        example[BEFORE] = torch.zeros_like(carried)
    dynamic = None
    if any_size:
        divisor = model.data_preprocessor.pad_size_divisor
        sides = (divisor * torch.export.Dim(name, min=2, max=2**12)
                 for name in ('h', 'w'))
        dynamic = (dict(zip((2, 3), sides, strict=True)),
                   *[None] * (len(example) - 1)),  # of *inputs
    network = FrameNetwork(model).eval()
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                network, tuple(example.values()), dynamo=True, verbose=False,
                opset_version=OPSET, dynamic_shapes=dynamic,
                input_names=list(example), output_names=list(axes))
    except Exception as error:
        raise UserError(_refusal(error, any_size)) from error
    assert program is not None
    program.model.metadata_props[KEY] = json.dumps(dict(
        meta=dict(meta or {}), frame_axes=axes, model=fingerprint(model)))
    program.save(str(path))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on what it does not fold or lacks."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(level)


def can_export(model: VIS) -> bool:
    """Whether a system's frames have a network, and nothing that is learnt
    comes behind it."""
    if model.network_outputs is None:
        return False
    tracker = getattr(model, 'tracker', None)
    return not isinstance(tracker, nn.Module) or not any(
        True for _ in tracker.parameters())


@torch.no_grad()
def differences(model: VIS, path: str | Path, frames: Tensor,
                metas: Sequence[FrameMeta]) -> dict[str, float]:
    """How far a file is from the model that was exported.

    Where frames carry something on, they are also given what they themselves
    left, as if they came again.

    Args:
        model (VIS): Not changed.
        path (str | Path): The file.
        frames (Tensor): Shape (T, 3, H, W), normalised and padded.
        metas (Sequence[FrameMeta]): ``img_shape`` of each.

    Returns:
        dict[str, float]: The largest absolute difference of each output.
    """
    network = OnnxNetwork(path)
    network.outputs = model.network_outputs
    sizes = [meta['img_shape'][:2] for meta in metas]
    far: dict[str, float] = {}
    carried: tuple[Tensor | None, ...] = ()
    for _ in range(2 if CARRIED in model.network_outputs._fields else 1):
        outputs = model.look(frames, metas, *carried)
        found = dict(flat_names(network(frames, sizes, *carried)))
        for name, value in flat_names(outputs):
            far[name] = max(far.get(name, 0.),
                            (found[name] - value).abs().max().item())
        carried = (getattr(outputs, CARRIED, None), )
    return far


@torch.no_grad()
def _frame_axes(model: VIS, frames: Tensor, sizes: Tensor
                ) -> tuple[dict[str, int], Tensor | None]:
    """The outputs by name, and which of their axes is that of the frames; what
    a frame hands on."""
    outputs = [model.network(frames.expand(n, -1, -1, -1),
                             sizes.expand(n, -1)) for n in (1, 2)]
    one, two = (dict(flat_names(x)) for x in outputs)
    return {
        name: next(axis for axis, (m, n) in enumerate(zip(
            value.shape, two[name].shape, strict=True)) if m != n)
        for name, value in one.items()
    }, getattr(outputs[0], CARRIED, None)


def _refusal(error: Exception, any_size: bool) -> str:
    """One sentence on why nothing was exported."""
    reason = next((line for line in str(error).splitlines()
                   if line.strip()), type(error).__name__)
    hint = (' --fixed-size exports it for one size.' if any_size else '')
    return f'The network could not be exported ({reason.strip()}).{hint}'
