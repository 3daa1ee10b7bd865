"""What the runners of all systems share."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from mmvis_memcnp.models.truth.ground_truth import GroundTruth

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
Results = dict[tuple[str, str, str], Any]


class Recorder:
    """Collects what modules return, call by call."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Tensor]] = defaultdict(list)

    def watch(self, name: str, module: nn.Module) -> None:
        """Keep every output of a module under a name."""
        module.register_forward_hook(
            lambda _m, _i, out: self.calls[name].append(out))

    def take(self, name: str) -> list[Tensor]:
        """Everything kept under a name since the last call."""
        return self.calls.pop(name, [])


def to_numpy(value: Any) -> np.ndarray:
    """Tensors off the graph; anything else as an array."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def padded_truth(objects: list[tuple], sizes: list) -> GroundTruth:
    """Objects of frames as the package takes them.

    Args:
        objects: for each frame boxes (n, 4) xyxy, labels (n,), identities
            (n,), and masks (n, H, W) or None.
        sizes: height and width of each frame without padding.
    """
    image_wh = torch.tensor([size[::-1] for size in sizes]).float()
    batch, most = len(objects), max(len(o[0]) for o in objects)
    boxes = torch.zeros(batch, most, 4)
    labels = torch.zeros(batch, most, dtype=torch.long)
    ids = torch.full((batch, most), -1)
    valid = torch.zeros(batch, most, dtype=torch.bool)
    masks = None if objects[0][3] is None else torch.zeros(
        batch, most, *objects[0][3].shape[1:], dtype=torch.bool)
    for b, (box, label, identity, mask) in enumerate(objects):
        n = len(box)
        boxes[b, :n] = torch.from_numpy(np.asarray(box, np.float32))
        labels[b, :n] = torch.from_numpy(np.asarray(label, np.int64))
        ids[b, :n] = torch.from_numpy(np.asarray(identity, np.int64))
        valid[b, :n] = True
        if masks is not None:
            masks[b, :n] = torch.from_numpy(mask)
    return GroundTruth.of(boxes, image_wh, labels, ids, valid, masks)


def gradient_norms(model: nn.Module, total: Tensor,
                   official_names: dict[str, str]) -> dict[str, float]:
    """L2 norm of the gradient of each parameter by its official name; -1
    where there is none.

    Args:
        model: the model, gradients cleared.
        total: sum of the losses.
        official_names: official name of each parameter's name.
    """
    model.zero_grad(set_to_none=True)
    # Pyramids may serve several cases.
    total.backward(retain_graph=True)
    return {
        official_names[name]:
        -1. if p.grad is None else float(p.grad.double().norm())
        for name, p in model.named_parameters()
    }


def kept(function: Callable, calls: list) -> Callable:
    """The function; what it returns is kept."""

    def call(*args, **kwargs):
        calls.append(function(*args, **kwargs))
        return calls[-1]

    return call


@contextmanager
def pinned(grid: Callable[..., Tensor]) -> Iterator[None]:
    """Stored points where losses and costs of masks draw some.

    Args:
        grid: of the masks, or of their number, points (P, n, 2).
    """
    rand = torch.rand

    def draw(*size, **kwargs) -> Tensor:
        return grid(*size) if len(size) == 3 else rand(*size, **kwargs)

    with mock.patch('mmvis_memcnp.models.losses.sampled_mask.'
                    'uncertain_points', grid), mock.patch('torch.rand', draw):
        yield
