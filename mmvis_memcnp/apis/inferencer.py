"""A trained system on anyone's frames."""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import InstanceData
from tqdm import tqdm

from ..cli.shipped import find_config, shipped_weights
from ..errors import SavedFileError
from ..models.vis.saved_session import restore_session
from ..results import NoSink, Sink, VideoResult
from .inference_session import InferenceSession
from .loading import LoadedModel
from .scenes import CutDetector, follow_scenes
from .sources import Source, open_source


class VISInferencer(LoadedModel):
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
        compile (bool): Compile backbone and neck with ``torch.compile``, see
            :func:`~mmvis_memcnp.engine.optimize.compile_model`. The first
            frame waits for the compiler, minutes on a busy machine, once for
            all sizes. Meant for a GPU; on a CPU ``optimize`` alone is faster.
            Needs a C++ compiler. Defaults to False.

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
                  cfg_options: Mapping[str, Any] | None = None,
                  optimize: str | None = None,
                  backend: str = 'torch',
                  compile: bool = False) -> VISInferencer:
        """The model of a config that comes with the package.

        Args:
            name (str): Its name, such as ``'idol-memcnp_r50_ovis'``; see
                :func:`~mmvis_memcnp.cli.shipped.find_config`.
            checkpoint (str | Path, optional): Weights. Defaults to those that
                come with the package, else random ones.
            device, cfg_options, optimize, backend, compile: See the class.

        Returns:
            VISInferencer: Ready to use.

        Raises:
            UserError: If there is no such name; it says the nearest ones.
        """
        config = find_config(name)
        return cls(config, checkpoint or shipped_weights(config), device,
                   cfg_options, optimize, backend, compile)

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
            SavedFileError: If it is damaged, or of another config,
                checkpoint, ``optimize``, backend or version.
        """

        def check(known: dict[str, Any]) -> None:
            own = self.running()
            if known.get('running', own) != own:  # older files do not say it
                raise SavedFileError(
                    f'{path} was saved with {known["running"]}, but this '
                    f'model runs with {own}: restore it with those of the '
                    'file.')

        session, known = restore_session(self.model, path, sink, check)
        if known.get('config') != self.digest():
            raise SavedFileError(f'{path} was saved with other options of the '
                                 'model or of its input: restore it with the '
                                 'same config and --cfg-options.')
        return InferenceSession.restored(self, session, known)

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
