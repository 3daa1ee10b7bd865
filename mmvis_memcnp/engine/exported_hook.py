"""Tests with an exported network."""
from __future__ import annotations

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..deployment import OnnxNetwork, run_exported


@HOOKS.register_module()
class ExportedNetworkHook(Hook):
    """Let a model take its frames from a file of ``export_onnx.py``, on the
    CPU; for programs that only test.

    Args:
        path (str): The file.

    Raises:
        UserError: See :class:`~mmvis_memcnp.deployment.OnnxNetwork`.
    """

    def __init__(self, path: str) -> None:
        self.network = OnnxNetwork(path)

    def before_test(self, runner: Runner) -> None:
        """The model is built: its own weights go.

        Raises:
            UserError: If the file is of a model with other tensors.
        """
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        run_exported(model.cpu().eval(), self.network)
