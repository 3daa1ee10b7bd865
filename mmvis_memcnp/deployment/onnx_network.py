"""An exported frame network, run by onnxruntime on the CPU."""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..models.vis.base import VIS
from .frame_file import BEFORE, fingerprint, nested, read_meta


class OnnxNetwork:
    """Takes the place of ``VIS.network``.

    Args:
        path (str | Path | None): File of :func:`export_onnx`; None stands
            for a checkpoint that was not given.

    Attributes:
        checkpoint (dict[str, Any]): ``meta`` of the checkpoint that was
            exported, as such a file holds it.
        outputs: NamedTuple of the results, set by :func:`run_exported`.

    Raises:
        UserError: If onnxruntime is not installed, there is no such file, or
            it is no exported network, such as a checkpoint.
    """

    def __init__(self, path: str | Path | None) -> None:
        if path is None or not str(path).endswith('.onnx'):
            raise UserError('The onnx backend needs a file of '
                            'tools/deployment/export_onnx.py in the place of '
                            f'the checkpoint, got {path}.')
        self.path = str(path)
        if not Path(path).is_file():
            raise UserError(f'There is no exported network at {path}: '
                            'correct the path.')
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError('An exported network needs onnxruntime: pip '
                            'install "mmvis-memcnp[export]".') from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # its warnings are about folding
        try:
            self._session = onnxruntime.InferenceSession(
                self.path, options, providers=['CPUExecutionProvider'])
        except Exception as error:  # of classes that it does not name
            reason = str(error).strip().splitlines()[0]
            raise UserError(f'{path} is no network that onnxruntime can '
                            f'run: {reason}') from error
        known = read_meta(
            self._session.get_modelmeta().custom_metadata_map, self.path)
        self.checkpoint = dict(meta=known['meta'])
        self.model, self._axes = known['model'], known['frame_axes']
        self._inputs = {i.name: i.shape for i in self._session.get_inputs()}
        self._names = [o.name for o in self._session.get_outputs()]
        self.outputs: Any = None

    def __call__(self, frames: Tensor, sizes: Sequence[tuple[int, ...]],
                 carried: Tensor | None = None) -> Any:
        """See :meth:`VIS.network`; the frames are taken one by one.

        Raises:
            UserError: If the file was exported for another size.
        """
        for side, fixed in zip(frames.shape[2:], self._inputs['frames'][2:],
                               strict=True):
            if isinstance(fixed, int) and fixed != side:
                height, width = self._inputs['frames'][2:]
                raise UserError(
                    f'{self.path} takes inputs of {width}x{height} alone, '
                    f'and this video gives {frames.shape[3]}x'
                    f'{frames.shape[2]} (width x height, padded): export it '
                    'without --fixed-size or with --size of this video.')
        before = self._before(carried, len(frames))
        found = [self._run(*one)
                 for one in zip(frames, sizes, before, strict=True)]
        tensors = {
            name: torch.from_numpy(np.concatenate(parts, self._axes[name]))
            for name, *parts in zip(self._names, *found, strict=True)
        }
        return nested(self.outputs, tensors)

    def digest(self) -> str:
        """SHA-256 of the file."""
        with open(self.path, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()

    def _before(self, carried: Tensor | None, count: int
                ) -> Sequence[Tensor | None]:
        """What each frame is given of the one before; zeros where there was
        none."""
        if BEFORE not in self._inputs:
            return [None] * count
        if carried is None:
            carried = torch.zeros(count, *self._inputs[BEFORE][1:])
        return list(carried)

    def _run(self, frame: Tensor, size: tuple[int, ...],
             carried: Tensor | None) -> list[np.ndarray]:
        feed = dict(frames=frame[None].numpy(),
                    sizes=np.array([size], dtype=np.int64))
        if carried is not None:
            feed[BEFORE] = carried[None].numpy()
        return self._session.run(
            self._names, {name: feed[name] for name in self._inputs})


def run_exported(model: VIS, network: OnnxNetwork) -> None:
    """Let a system take its frames from an exported network.

    The weights that it had of its own are given up: a part that still asked
    for them would fail, and not answer with others than the file's.

    Args:
        model (VIS): The system, in evaluation mode; changed.
        network (OnnxNetwork): Of the same config.

    Raises:
        UserError: If it is of a model with other tensors.
    """
    if network.model != fingerprint(model):
        raise UserError(
            f'{network.path} was exported from another model than '
            f'{type(model).__name__} of this config: give the config that '
            'it was exported with.')
    network.outputs = model.network_outputs
    model.exported = network
    for name, part in model.named_children():
        if name != 'data_preprocessor':
            part.to('meta')
