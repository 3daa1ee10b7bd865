"""VidEoMT beside the class of Hugging Face's transformers.

The same random weights, the same frames, the same work: class logits and all
mask logits of every frame, which must be equal to 1e-5 of the largest. One
thread, CPU time, in turn; medians, and the median of the turns' ratios. The
class takes square frames alone.

    python tools/benchmark/videomt_speed.py --models s l --sides 448 640

`none` is the model as it is, `exact` what `--optimize` makes of it. `mixed`
(bfloat16) is not equal: its difference is told.
"""
from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from torch import Tensor  # noqa: E402

from mmvis_memcnp.cli.run import run_tool  # noqa: E402
from mmvis_memcnp.converters import KEY_MAPS, guess_system  # noqa: E402
from mmvis_memcnp.engine.optimize import (  # noqa: E402
    optimize_model,
    precision_of,
)
from mmvis_memcnp.errors import UserError  # noqa: E402

CONFIGS = {
    's': 'videomt_vit-s_8xb1-40k-coco-joint_youtubevis2019.py',
    'b': 'videomt_vit-b_8xb1-160k-coco-joint_youtubevis2019.py',
    'l': 'videomt_vit-l_8xb1-160k-coco-joint_youtubevis2019.py'}
#: Of the largest value, for what must be equal.
TOLERANCE = 1e-5
Outputs = tuple[Tensor, Tensor]


def theirs(segmenter: dict, side: int) -> Any:
    """A model of transformers of the same sizes, with random weights."""
    try:
        import transformers
    except ImportError as error:
        raise UserError('The class to compare with is of transformers: pip '
                        'install "transformers>=5.3".') from error
    backbone = segmenter['backbone']
    torch.manual_seed(0)
    model = transformers.VideomtForUniversalSegmentation(
        transformers.VideomtConfig(
            hidden_size=backbone['embed_dims'],
            num_hidden_layers=backbone['depth'],
            num_attention_heads=backbone['num_heads'],
            num_queries=segmenter.get('num_queries', 200),
            num_blocks=segmenter['num_blocks'],
            num_labels=segmenter['num_classes'], image_size=side))
    for value in model.parameters():
        scale = .3 if value.dim() == 1 else value[0].numel()**-.5
        value.data = torch.randn_like(value) * scale
    return model.eval()


def ours(config: dict, state: dict) -> Any:
    """The model of a config with these weights."""
    model = MODELS.build(config)
    model.load_state_dict(
        KEY_MAPS[guess_system(state)].convert(state), strict=True)
    return model.eval()


def follow(model: Any, frames: Tensor) -> Outputs:
    """Class and mask logits of a video (T, 3, H, W)."""
    tokens, before, found = model.segmenter.encode(frames), None, []
    for t in range(len(frames)):
        last = model.follow(tokens.frames(slice(t, t + 1)), before)[-1]
        before = last.hidden[-1]
        found.append((last.logits[0, 0], last.masks()[0]))
    logits, masks = zip(*found, strict=True)
    return torch.stack(logits), torch.stack(masks)


def ways(name: str, side: int, levels: list[str],
         frames: Tensor) -> dict[str, Callable[[], Outputs]]:
    """Those that take turns, by name; each gives its outputs."""
    cfg = Config.fromfile(ROOT / 'configs/videomt' / CONFIGS[name]).model
    cfg.segmenter.backbone.pos_grid = (side // 16, ) * 2
    official = theirs(cfg.segmenter, side)

    def released() -> Outputs:
        found = official(pixel_values_videos=frames[None])
        return found.class_queries_logits, found.masks_queries_logits

    found: dict[str, Callable[[], Outputs]] = dict(transformers=released)
    for level in levels:
        model = ours(cfg, official.state_dict())
        if level != 'none':
            optimize_model(model)

        def run(model: Any = model, level: str = level) -> Outputs:
            with precision_of(level, frames.device):
                return follow(model, frames)

        found[level] = run
    return found


@torch.no_grad()
def rows(args: argparse.Namespace) -> Iterator[tuple]:
    """Of the table: model, side, who, seconds a frame, how many times as
    fast, how far from transformers' outputs."""
    for name in args.models:
        for side in args.sides:
            frames = torch.randn(args.frames, 3, side, side)
            runs = ways(name, side, args.levels, frames)
            expected = runs['transformers']()
            far = {key: max(float((a - b).abs().max() / b.abs().max())
                            for a, b in zip(run(), expected, strict=True))
                   for key, run in runs.items()}
            for key, value in far.items():
                if key != 'mixed' and value > TOLERANCE:
                    raise UserError(f'{key} is {value:.1e} from the outputs '
                                    'of transformers: not the same work.')
            times: dict[str, list[float]] = {key: [] for key in runs}
            for turn in range(args.repeats):
                for key in list(runs)[::-1 if turn % 2 else 1]:
                    begin = time.process_time()
                    runs[key]()
                    times[key].append(
                        (time.process_time() - begin) / len(frames))
            for key, spent in times.items():
                ratio = np.divide(times['transformers'], spent)
                yield (f'ViT-{name.upper()}', f'{side}x{side}', key,
                       f'{np.median(spent):.3f} s', f'{np.median(ratio):.2f}',
                       f'{far[key]:.0e}')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', nargs='+', choices=CONFIGS,
                        default=['s'], help='ViT-S, B, L (default: s)')
    parser.add_argument('--sides', type=int, nargs='+', default=[640],
                        help='of the frames, multiples of 16 (default: 640)')
    parser.add_argument('--levels', nargs='+', default=['none', 'exact'],
                        choices=['none', 'exact', 'mixed'])
    parser.add_argument('--frames', type=int, default=2,
                        help='of the video (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=5,
                        help='turns (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if min(args.frames, args.repeats, *args.sides) < 1 or any(
            side % 16 for side in args.sides):
        raise UserError('--frames and --repeats must be positive, --sides '
                        'multiples of 16.')
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    warnings.simplefilter('ignore')
    print('| model | frames | who | CPU time a frame | times as fast | '
          'largest difference |\n| --- | --- | --- | --- | --- | --- |')
    for row in rows(args):
        print(f'| {" | ".join(row)} |', flush=True)


if __name__ == '__main__':
    run_tool(main)
