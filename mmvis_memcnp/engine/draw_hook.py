"""Pictures of the results while a model is tested."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..errors import UserError
from ..images import read_image
from ..results.ownership import new_file
from ..visualization.files import save_image
from ..visualization.overlay import draw_frame


@HOOKS.register_module()
class DrawResultsHook(Hook):
    """Write each tested frame with its instances drawn on it.

    The pictures are ``<out_dir>/<video id>/<name of the frame>.jpg``; each is
    written as its frame is done. What a model decides when a video ends (such
    as tracks dropped as noise) is not in them. A picture that is there is
    replaced if it was written by this package, else the test stops.

    Args:
        out_dir: Folder for the pictures, made if needed.
        score_thr: Leave out what scores less in a frame.
    """

    def __init__(self, out_dir: str, score_thr: float = 0.3) -> None:
        self.out_dir = Path(out_dir)
        self.score_thr = score_thr

    def after_test_iter(self,
                        runner: Runner,
                        batch_idx: int,
                        data_batch: Any = None,
                        outputs: Any = None) -> None:
        """Draw a frame.

        Args:
            runner: The runner; its visualizer knows the class names.
            batch_idx: Number of the frame.
            data_batch: Batch of this one frame.
            outputs: List of its FrameResult.

        Raises:
            UserError: The frame's image cannot be read.
            OutputError: Its picture would replace a file of the user.
        """
        meta = data_batch['data_samples'][0].video_data_samples[0].metainfo
        path = Path(meta['img_path'])
        try:
            image = read_image(path)
        except (OSError, ValueError) as error:
            raise UserError(f'The frame {path} cannot be read: check that the '
                            'file is still there and is an image.') from error
        classes = (runner.visualizer.dataset_meta or {}).get('classes', ())
        picture = draw_frame(
            image, outputs[0], classes, score_thr=self.score_thr)
        target = self.out_dir / str(meta['video_id']) / f'{path.stem}.jpg'
        with new_file(target, True, '--show-dir', durable=False) as name:
            save_image(name, picture)
