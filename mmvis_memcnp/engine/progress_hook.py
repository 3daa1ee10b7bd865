"""Tell a model how far its training is."""
from __future__ import annotations

from collections.abc import Callable

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


@HOOKS.register_module()
class ProgressHook(Hook):
    """Tell a model the iteration before each training step.

    Every module of the model with a method ``set_progress(iteration,
    max_iters)`` is told. What a module derives from these two numbers alone,
    such as its :func:`~mmvis_memcnp.models.layers.phase`, is the same in a
    resumed run as in one without a break. ``tools/train.py`` adds this hook
    to every training.
    """

    def __init__(self) -> None:
        self._told: list[Callable[[int, int], None]] = []

    def before_train(self, runner: Runner) -> None:
        """Find who wants to know.

        Args:
            runner (Runner): Its model may be wrapped (DDP).
        """
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        self._told = [module.set_progress for module in model.modules()
                      if callable(getattr(module, 'set_progress', None))]

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: object = None) -> None:
        """Tell them.

        Args:
            runner (Runner): ``iter`` is the number of steps done so far, also
                those before a resume; ``max_iters`` that of the whole run.
            batch_idx (int): Not used: it starts anew with an epoch.
            data_batch (object): Not used.
        """
        for set_progress in self._told:
            set_progress(runner.iter, runner.max_iters)
