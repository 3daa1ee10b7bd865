"""A trained system on anyone's frames."""
from __future__ import annotations

import argparse
import copy
import hashlib
import json
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tqdm import tqdm

from ..cli import preflight
from ..cli.shipped import find_config, shipped_weights
from ..compat.checkpoint import load_checkpoint_file
from ..converters import check_converted
from ..datasets.class_counts import saved_classes, sync_classes
from ..deployment import OnnxNetwork, run_exported
from ..engine.checkpoint_check import KeyReport, compare_keys
from ..engine.optimize import LEVELS, optimize_model, precision_of
from ..errors import SavedFileError, SourceError
from ..models.vis.base import VIS
from ..models.vis.saved_session import restore_session, save_session
from ..models.vis.session import Session
from ..results import NoSink, Sink, VideoResult
from ..results.sigma_map import adopt_sigma_map
from .background import chunks, read_ahead
from .devices import choose_device
from .scenes import CutDetector, follow_scenes
from .sources import FrameSource, Source, check_frame, open_source

Frames = np.ndarray | Sequence[np.ndarray]
#: Frames that the network gets at once where they need not be waited for.
#: More take more memory and, on a GPU, less time.
CHUNK = 4


class VISInferencer:
    """Video instance segmentation of videos, frames or streams.

    Frames go through the config's own test pipeline and the model's own
    preprocessor, so results are those of ``tools/test.py``. Where a
    checkpoint says what classes it was trained on, the model has these, so
    the config that a training began with will do.

    Args:
        config (str | Path | Config): Config of a model that follows a video
            frame by frame.
        checkpoint (str | Path, optional): Weights. Without them they are
            random, which a warning says. Defaults to None.
        device (str): See :func:`choose_device`. Defaults to ``'auto'``.
        cfg_options (Mapping[str, Any], optional): Overrides of the config:
            dotted key to value. Defaults to None.
        optimize (str, optional): ``'exact'``: faster, results change by
            rounding alone; ``'mixed'``: also in mixed precision. See
            docs/speed.md. Defaults to None.
        backend (str): ``'torch'``, or ``'onnx'``: the checkpoint is a file
            of ``tools/deployment/export_onnx.py``, and onnxruntime runs the
            network of single frames on the CPU. Defaults to ``'torch'``.

    Attributes:
        model: The system, in evaluation mode.
        classes (tuple[str]): Class name of each label.

    Raises:
        ValueError: If config and checkpoint do not belong together, or there
            is no such device.
        CheckpointError: If the checkpoint is damaged or unsafe.
        FileNotFoundError: If a file is missing.

    Examples:
        >>> inferencer = VISInferencer('config.py', 'weights.pth')
        >>> video = inferencer('clip.mp4')
        >>> video.tracks[0].score
        >>> session = inferencer.session()
        >>> for frame, result in session.follow(camera):
        ...     draw(frame, result)
        >>> video = session.finish()
    """

    def __init__(self,
                 config: str | Path | Config,
                 checkpoint: str | Path | None = None,
                 device: str = 'auto',
                 cfg_options: Mapping[str, Any] | None = None,
                 optimize: str | None = None,
                 backend: str = 'torch') -> None:
        if optimize not in (None, *LEVELS):
            raise ValueError(f'optimize is {optimize!r}; use None, '
                             f'{" or ".join(map(repr, LEVELS))}.')
        if backend == 'onnx' and optimize is not None:
            raise ValueError(f'optimize is {optimize!r}, but onnxruntime runs '
                             'the network as it was exported: leave optimize '
                             'or the backend out.')
        network = _exported(checkpoint, device, backend)
        self.device = choose_device('cpu' if network else device)
        self.cfg = load_config(config, cfg_options)
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
        self.optimize = optimize
        if optimize is not None:
            optimize_model(self.model)
        self._transform = Compose(
            [TRANSFORMS.build(t) for t in self._frame_transforms()])

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> VISInferencer:
        """The model that a command line asks for.

        Args:
            args (argparse.Namespace): With ``config``, ``checkpoint`` (None:
                random weights) and what
                :func:`~mmvis_memcnp.cli.options.add_model_options` adds;
                ``optimize`` counts where a tool has it.

        Returns:
            VISInferencer: Ready to use.
        """
        return cls(args.config, args.checkpoint, args.device,
                   args.cfg_options, getattr(args, 'optimize', None),
                   getattr(args, 'backend', 'torch'))

    @classmethod
    def from_name(cls,
                  name: str,
                  checkpoint: str | Path | None = None,
                  device: str = 'auto',
                  cfg_options: Mapping[str, Any] | None = None
                  ) -> VISInferencer:
        """The model of a config that comes with the package.

        Args:
            name (str): Its name, such as ``'idol-memcnp_r50_ovis'``; see
                :func:`~mmvis_memcnp.cli.shipped.find_config`.
            checkpoint (str | Path, optional): Weights. Defaults to those that
                come with the package, else random ones.
            device (str): See the class.
            cfg_options (Mapping[str, Any], optional): See the class.

        Returns:
            VISInferencer: Ready to use.

        Raises:
            UserError: If there is no such name; it says the nearest ones.
        """
        config = find_config(name)
        return cls(config, checkpoint or shipped_weights(config), device,
                   cfg_options)

    def session(self,
                sink: Sink | None = None,
                channel_order: str = 'bgr',
                length: int | None = None) -> InferenceSession:
        """Begin a video; any number of them can run side by side.

        Args:
            sink (Sink, optional): Where results go: ``MemorySink`` (default)
                or ``FileSink``, with which memory does not grow with time.
            channel_order (str): ``'bgr'`` (OpenCV's) or ``'rgb'``.
            length (int, optional): Number of frames, if it is known: a system
                that takes a video as a whole then refuses one that is too
                long before it works on the first frame.

        Returns:
            InferenceSession: Takes frames, gives results.
        """
        return InferenceSession(self, sink, channel_order, length)

    def restore(self, path: str | Path,
                sink: Sink | None = None) -> InferenceSession:
        """Go on with a session that was saved.

        Args:
            path (str | Path): Of :meth:`InferenceSession.save`; nothing in it
                is executed.
            sink (Sink, optional): Empty; gets the results so far. In memory
                by default.

        Returns:
            InferenceSession: Its results are those that the saved one would
            have given.

        Raises:
            FileNotFoundError: If there is no such file.
            SavedFileError: If it is damaged, or of another config, checkpoint
                or version.
        """
        session, known = restore_session(self.model, path, sink)
        if known.get('config') != self.digest():
            raise SavedFileError(f'{path} was saved with other options of the '
                                 'model or of its input: restore it with the '
                                 'same config and --cfg-options.')
        return InferenceSession._of(self, session, known)

    def digest(self) -> str:
        """A number that two inferencers share if the options of their models
        and inputs are the same."""
        options = json.dumps([self.cfg.model, self._frame_transforms()],
                             sort_keys=True, default=repr)
        return hashlib.blake2b(options.encode(), digest_size=16).hexdigest()

    def stream(
        self,
        source: Source,
        sink: Sink | None = None,
        max_frames: int | None = None,
        cuts: CutDetector | None = None,
        max_scene: int | None = None,
    ) -> Iterator[tuple[np.ndarray, InstanceData]]:
        """Results while the frames arrive.

        A system that sees several frames at once gives them late, see
        :meth:`InferenceSession.follow`.

        Args:
            source: See :func:`~mmvis_memcnp.apis.open_source`.
            sink (Sink, optional): Also keeps the results of a stream of one
                scene. Defaults to None, nothing is kept.
            max_frames (int, optional): Stop after so many.
            cuts, max_scene: See :func:`~.scenes.follow_scenes`; a scene is
                followed without what was before.

        Yields:
            tuple: The frame (H, W, 3), uint8, BGR, and its FrameResult.

        Raises:
            ValueError: If a sink is given for several scenes.
        """
        scenes = cuts is not None or max_scene is not None
        if scenes and sink is not None:
            raise ValueError('A sink holds one scene: leave sink out, or cuts '
                             'and max_scene.')
        frames = open_source(source, max_frames)
        length = None if scenes else frames.length

        def begin() -> InferenceSession:
            return self.session(NoSink() if sink is None else sink,
                                length=length)

        yield from follow_scenes(begin, frames, cuts, max_scene)

    def __call__(self,
                 source: Source,
                 sink: Sink | None = None,
                 max_frames: int | None = None,
                 progress: bool = False) -> VideoResult:
        """The tracks of a video.

        Args:
            source: See :func:`~mmvis_memcnp.apis.open_source`.
            sink (Sink, optional): See :meth:`session`.
            max_frames (int, optional): Stop after so many.
            progress (bool): Show a progress bar. Defaults to False.

        Returns:
            VideoResult: Tracks with video-level labels and scores.
        """
        frames = open_source(source, max_frames)
        session = self.session(sink, length=frames.length)
        with tqdm(total=frames.length, unit='frame',
                  disable=not progress) as bar, closing(
                      session.batches(frames)) as batches:
            for batch in batches:
                session.step(batch)
                bar.update(len(batch))
        return session.finish()

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


class InferenceSession:
    """One video on its way through a :class:`VISInferencer`.

    Args:
        inferencer (VISInferencer): The model with its pipeline.
        sink (Sink, optional): Where results go.
        channel_order (str): Of the frames, ``'bgr'`` or ``'rgb'``.
        length (int, optional): Number of frames, if it is known.
    """

    def __init__(self,
                 inferencer: VISInferencer,
                 sink: Sink | None = None,
                 channel_order: str = 'bgr',
                 length: int | None = None) -> None:
        if channel_order not in ('bgr', 'rgb'):
            raise ValueError(f"channel_order is {channel_order!r}; use 'bgr' "
                             "or 'rgb'.")
        self._inferencer = inferencer
        self._rgb = channel_order == 'rgb'
        known = None if length is None else dict(video_length=length)
        self._session = inferencer.model.session(known, sink)
        self._size: tuple[int, ...] | None = None
        self._count = 0

    @classmethod
    def _of(cls, inferencer: VISInferencer, session: Session,
            known: Mapping[str, Any]) -> InferenceSession:
        """The session that :meth:`save` wrote."""
        found = cls(inferencer,
                    channel_order='rgb' if known['rgb'] else 'bgr')
        found._session, found._size = session, known['size']
        found._count = known['count']
        return found

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the session to a file; it may go on.

        :meth:`VISInferencer.restore` of the same config and checkpoint goes
        on from there, in this process or another. The file has all results so
        far. Frames whose results are still due are the caller's to keep.

        Args:
            path (str | Path): The file.
            overwrite (bool): Whether a saved session may be replaced.
                Defaults to False.

        Raises:
            OutputError: If the file may not be written.
        """
        save_session(self._session, path, overwrite, dict(
            config=self._inferencer.digest(), rgb=self._rgb, size=self._size,
            count=self._count))

    @torch.no_grad()
    def step(self, frames: Frames) -> list[InstanceData]:
        """Take the next frames of the video.

        Args:
            frames (ndarray | Sequence[ndarray]): One frame (H, W, 3), uint8,
                or several, which the network takes as one batch.

        Returns:
            list[InstanceData]: The FrameResults that are settled: of systems
            that go frame by frame one a frame, of others those that are due,
            in order, each with its ``frame_id``. They hold ``instances_id``,
            ``bboxes`` (n, 4) xyxy in pixels of the frame, ``scores``,
            ``labels``, ``masks`` (run-length codes) and, with MemCNP,
            ``box_sigmas`` (n, 4), fractions of the frame.

        Raises:
            SourceError: If a frame is no uint8 colour image or its size is
                not that of the video.
            ValueError: If the system takes a video as a whole and this one
                is too long.
        """
        batch: list[np.ndarray] = list(frames)
        if isinstance(frames, np.ndarray) and frames.ndim == 3:
            batch = [frames]
        for index, frame in enumerate(batch, self._count):
            check_frame(frame, index)
            size = self._size or batch[0].shape
            if frame.shape != size:
                raise SourceError(
                    f'Frame {index} is {frame.shape[1]}x{frame.shape[0]} '
                    f'pixels, but the video is {size[1]}x{size[0]} (width x '
                    'height): begin a new session for another size.')
        if not batch:
            return []
        if self._rgb:
            batch = [cv2.cvtColor(f, cv2.COLOR_RGB2BGR) for f in batch]
        inputs, metas = self._inferencer.prepare(batch)
        for index, meta in enumerate(metas, self._count):
            meta['frame_id'] = index
        with self._precision():
            results = self._session.step(inputs, metas)
        self._size = batch[0].shape
        self._count += len(batch)
        return results

    def batches(self, source: FrameSource
                ) -> Generator[list[np.ndarray], None, None]:
        """The frames of a source as :meth:`step` takes them best.

        Args:
            source (FrameSource): The video.

        Yields:
            list[ndarray]: Of files some frames, read while the caller works
            on those before; else one, when it comes.
        """
        if not source.stored:
            return chunks(source, 1)
        return read_ahead(chunks(source, CHUNK), 1)

    def flush(self) -> list[InstanceData]:
        """FrameResults that are still due when the video has ended."""
        with self._precision():
            return self._session.flush()

    def _precision(self) -> AbstractContextManager:
        return precision_of(self._inferencer.optimize,
                            self._inferencer.device)

    def follow(
        self, frames: Iterable[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, InstanceData]]:
        """Every frame with its FrameResult, as soon as that is settled.

        Args:
            frames (Iterable[ndarray]): All frames that are left of the video.

        Yields:
            tuple: The frame as it was given, and its FrameResult.
        """
        yield from follow_scenes(lambda: self, frames)

    def finish(self) -> VideoResult:
        """Tracks of the video, with video-level labels and scores."""
        self.flush()
        return self._session.finish()


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
    is_file = str(checkpoint).endswith('.onnx')
    if backend == 'torch':
        if is_file:
            raise ValueError(f"{checkpoint} is an exported network: set the "
                             "backend to 'onnx'.")
        return None
    if not is_file:
        raise ValueError("backend='onnx' needs a file of "
                         'tools/deployment/export_onnx.py in the place of '
                         f'the checkpoint, got {checkpoint}.')
    if device not in ('auto', 'cpu'):
        raise ValueError(f"backend='onnx' runs on the CPU, the device is "
                         f"{device!r}: use 'cpu'.")
    return OnnxNetwork(str(checkpoint))


def _first(report: KeyReport) -> str:
    """The first weight that does not fit."""
    return next(iter([*report.reshaped, *report.missing, *report.unexpected]))
