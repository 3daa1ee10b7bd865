"""Training stops at the first loss that is not a number."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from ..errors import NonFiniteLossError

_MAX_NAMED = 8


def describe_batch(data_batch: object) -> str:
    """Name the samples of a training batch.

    Args:
        data_batch: What the loader gave: a dict whose ``data_samples`` are
            ``TrackDataSample`` (named by video and frames) or
            ``DetDataSample`` (named by image).

    Returns:
        For instance ``"video 3, frames 0 and 4 (a/0.jpg, a/4.jpg)"``, samples
        parted by semicolons.
    """
    samples = data_batch.get('data_samples') if isinstance(
        data_batch, dict) else None
    if not isinstance(samples, Sequence) or not samples:
        return 'unnamed samples'
    names = [_describe_sample(sample) for sample in samples[:_MAX_NAMED]]
    if len(samples) > _MAX_NAMED:
        names.append(f'{len(samples) - _MAX_NAMED} more')
    return '; '.join(names)


def _describe_sample(sample: Any) -> str:
    frames = getattr(sample, 'video_data_samples', [sample])
    metas = [frame.metainfo for frame in frames]
    paths = ', '.join(str(meta.get('img_path', '?')) for meta in metas)
    if 'video_id' not in metas[0]:
        return f'image {paths}'
    ids = ' '.join(str(meta.get('frame_id', '?')) for meta in metas)
    return f'video {metas[0]["video_id"]}, frames {ids} ({paths})'


@HOOKS.register_module()
class NaNStopHook(Hook):
    """Stop with one sentence when a loss is NaN or infinite.

    The loss is looked at before back-propagation, so the weights, the
    optimiser's state and every checkpoint are those from before the bad
    step. Looking waits for the forward pass on the device, once an iteration;
    mmengine's loop waits anyway to record each loss after the step, so what
    is added is the time to queue the backward pass on an idle device.

    With mixed precision an infinite *gradient* is the loss scaler's business;
    a loss that is not finite is not, and stops training as well.

    When one of several processes stops, its launcher ends the others; none
    of them can complete the step.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._met = False

    def before_train(self, runner: Runner) -> None:
        """Put the check in front of the optimiser's update.

        Args:
            runner: The runner; its ``optim_wrapper`` is built.
        """
        wrapper: OptimWrapper = runner.optim_wrapper
        update: Callable = wrapper.update_params

        def update_if_finite(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            if torch.isfinite(loss.detach()).all():
                update(loss, *args, **kwargs)
            else:
                self._met = True

        wrapper.update_params = update_if_finite  # type: ignore

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: object = None,
                         outputs: dict | None = None) -> None:
        """Raise if the step was left out.

        Args:
            runner: The runner.
            batch_idx: Number of the batch in the epoch.
            data_batch: The batch, named in the error.
            outputs: The losses by name.

        Raises:
            NonFiniteLossError: A loss of this iteration is not finite.
        """
        if not self._met:
            return
        terms = [
            f'{name} is {value.item():g}'
            for name, value in (outputs or {}).items()
            if isinstance(value, Tensor) and name != 'loss'
            and not torch.isfinite(value)
        ]
        raise NonFiniteLossError(
            f'Training stopped at iteration {runner.iter + 1}: '
            f'{", ".join(terms) or "the sum of the losses is not finite"}, '
            f'for the batch of {describe_batch(data_batch)}; the weights are '
            'those from before this step: check these annotations, or lower '
            'the learning rate.')
