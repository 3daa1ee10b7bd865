"""A trained system with its input pipeline."""
from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from ..cli import preflight
from ..compat.checkpoint import load_checkpoint_file
from ..converters import check_converted
from ..datasets.class_counts import saved_classes, sync_classes
from ..deployment import OnnxNetwork, run_exported
from ..engine.checkpoint_check import KeyReport, compare_keys
from ..engine.optimize import (
    LEVELS,
    compile_model,
    optimize_model,
    precision_of,
)
from ..models.vis.base import VIS
from ..results.sigma_map import adopt_sigma_map
from .devices import choose_device


class LoadedModel:
    """A model as a config and a checkpoint say, which takes any frames.

    Args:
        config, checkpoint, device, cfg_options, optimize, backend, compile:
            See :class:`~.inferencer.VISInferencer`.
    """

    def __init__(self,
                 config: str | Path | Config,
                 checkpoint: str | Path | None = None,
                 device: str = 'auto',
                 cfg_options: Mapping[str, Any] | None = None,
                 optimize: str | None = None,
                 backend: str = 'torch',
                 compile: bool = False) -> None:
        if optimize not in (None, *LEVELS):
            raise ValueError(f'optimize is {optimize!r}; use None, '
                             f'{" or ".join(map(repr, LEVELS))}.')
        if backend == 'onnx' and optimize is not None:
            raise ValueError(f'optimize is {optimize!r}, but onnxruntime runs '
                             'the network as it was exported: leave optimize '
                             'or the backend out.')
        if backend == 'onnx' and compile:
            raise ValueError('compile is set, but onnxruntime runs the '
                             'network as it was exported: leave compile or '
                             'the backend out.')
        network = _exported(checkpoint, device, backend)
        self.device = choose_device('cpu' if network else device)
        self.cfg = load_config(config, cfg_options)
        preflight.check_parts(self.cfg, self.cfg.filename, 'model')
        init_default_scope(self.cfg.get('default_scope', 'mmdet'))
        saved: dict = {}
        if checkpoint is None:
            warnings.warn('No checkpoint was given: the weights are random, '
                          'and so are the results.', stacklevel=2)
        elif network is not None:
            saved = network.checkpoint
        else:
            saved = load_checkpoint_file(str(checkpoint))
        self.classes: tuple[str, ...] = sync_classes(
            self.cfg, saved_classes(saved)) or ()
        adopt_sigma_map(self.cfg, saved)
        self.model: Any = MODELS.build(self.cfg.model)
        if not isinstance(self.model, VIS):
            raise ValueError(f'{type(self.model).__name__} has no sessions: '
                             'give the config of a model of mmvis_memcnp.')
        if network is not None:
            run_exported(self.model.eval(), network)
        elif saved:
            self._load(str(checkpoint), saved['state_dict'])
        if network is None:
            self.model.to(self.device).eval()
        self.optimize, self.backend = optimize, backend
        if optimize is not None:
            optimize_model(self.model)
        if compile:
            compile_model(self.model)
        self._transform = Compose(
            [TRANSFORMS.build(t) for t in self._frame_transforms()])

    def precision(self) -> AbstractContextManager:
        """In which the network runs."""
        return precision_of(self.optimize, self.device)

    def running(self) -> str:
        """How the network runs, which weights and results depend on."""
        return f'optimize={self.optimize!r}, backend={self.backend!r}'

    def digest(self) -> str:
        """A number that two inferencers share if the options of their models
        and inputs are the same."""
        options = json.dumps([self.cfg.model, self._frame_transforms()],
                             sort_keys=True, default=repr)
        return hashlib.blake2b(options.encode(), digest_size=16).hexdigest()

    def prepare(self, frames: list[np.ndarray]) -> tuple[torch.Tensor, list]:
        """What the network gets.

        Args:
            frames (list[ndarray]): BGR frames (H, W, 3) of one size.

        Returns:
            tuple: Normalised, padded input (T, 3, H', W') on the device, and
            for each frame a dict of ``ori_shape``, ``img_shape`` (both
            (h, w)) and ``scale_factor`` (w, h).
        """
        metas, images = [], []
        for frame in frames:
            data = self._transform(
                dict(img=frame, img_shape=frame.shape[:2],
                     ori_shape=frame.shape[:2], height=frame.shape[0],
                     width=frame.shape[1]))
            images.append(np.ascontiguousarray(data['img']))
            metas.append(dict(ori_shape=data['ori_shape'][:2],
                              img_shape=data['img_shape'][:2],
                              scale_factor=data.get('scale_factor', (1., 1.))))
        clip = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        batch = dict(inputs=[clip], data_samples=None)
        return self.model.data_preprocessor(batch)['inputs'][0], metas

    def _dataset(self) -> dict | None:
        loader = self.cfg.get('test_dataloader') or self.cfg.get(
            'val_dataloader') or {}
        return loader.get('dataset')

    def _frame_transforms(self) -> list[dict]:
        """The test pipeline without reading and packing."""
        dataset = self._dataset()
        while dataset is not None and 'pipeline' not in dataset:
            dataset = dataset.get('dataset')
        if dataset is None:
            raise ValueError('The config has no test_dataloader with a '
                             'pipeline, so the size of the network input is '
                             'not known: add one.')
        flat: list[dict] = []
        for step in dataset['pipeline']:
            flat.extend(step['transforms'] if step['type'] ==
                        'TransformBroadcaster' else [step])
        return [t for t in flat if not t['type'].startswith(('Load', 'Pack'))]

    def _load(self, path: str, weights: dict[str, torch.Tensor]) -> None:
        """Load weights strictly."""
        check_converted(weights, self.model.state_dict())
        report = compare_keys(weights, self.model.state_dict())
        if report.missing or report.unexpected or report.reshaped:
            raise ValueError(
                f'{path} does not belong to {type(self.model).__name__} of '
                f'this config: {len(report.missing)} weights are missing, '
                f'{len(report.unexpected)} are unknown and '
                f'{len(report.reshaped)} have another shape '
                f'({_first(report)}); give the config that it was trained '
                'with.')
        # Only what no result depends on can be missing now.
        self.model.load_state_dict(weights, strict=False)


def load_config(config: str | Path | Config,
                options: Mapping[str, Any] | None = None) -> Config:
    """Read a config; one that is a Config already is copied.

    Args:
        config (str | Path | Config): A file, or what was read from one.
        options (Mapping[str, Any], optional): Overrides: dotted key to value.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it, or an override, cannot be applied.
    """
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
        if options:
            preflight.apply_overrides(cfg, options)
        return cfg
    if not Path(config).is_file():
        raise FileNotFoundError(f'There is no config at {config}: correct the '
                                'path.')
    return preflight.load_config(str(config), options)


def _exported(checkpoint: str | Path | None, device: str,
              backend: str) -> OnnxNetwork | None:
    """The network that takes the place of the model's own, if one does."""
    if backend not in ('torch', 'onnx'):
        raise ValueError(f"backend is {backend!r}; use 'torch' or 'onnx'.")
    if backend == 'torch':
        return None
    if device not in ('auto', 'cpu'):
        raise ValueError(f"backend='onnx' runs on the CPU, the device is "
                         f"{device!r}: use 'cpu'.")
    return OnnxNetwork(checkpoint)


def _first(report: KeyReport) -> str:
    """The first weight that does not fit."""
    return next(iter([*report.reshaped, *report.missing, *report.unexpected]))
