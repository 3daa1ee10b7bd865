"""VidEoMT beside the class of Hugging Face's transformers.

The same random weights, the same frames, the same work: class logits and all
mask logits of every frame, which must be equal to 1e-5 of the largest, on a
GPU to 1e-4. In turn; medians, and the median of the turns' ratios. On a CPU
one thread and its CPU time, on a GPU the time until it has finished. The class
takes square frames alone.

    python tools/benchmark/videomt_speed.py --models s l --sides 448 640
    python tools/benchmark/videomt_speed.py --device cuda --models l --alone \
        --frames 8 --levels none exact mixed compiled compiled-mixed

`none` is the model as it is, `exact` what `--optimize` makes of it, `compiled`
that with its blocks compiled. `mixed` and `compiled-mixed` (float16 on a GPU,
bfloat16 on a CPU) are not equal: their difference is told.
"""
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmvis_memcnp.apis import choose_device
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.converters import KEY_MAPS, guess_system
from mmvis_memcnp.engine.optimize import (
    compile_model,
    optimize_model,
    precision_of,
)
from mmvis_memcnp.errors import UserError

ROOT = Path(__file__).resolve().parents[2]

CONFIGS = {
    's': 'videomt_vit-s_8xb1-40k-coco-joint_youtubevis2019.py',
    'b': 'videomt_vit-b_8xb1-160k-coco-joint_youtubevis2019.py',
    'l': 'videomt_vit-l_8xb1-160k-coco-joint_youtubevis2019.py'}
#: Of the largest value, for what must be equal. A GPU has another order of
#: sums in each.
TOLERANCE = dict(cpu=1e-5, cuda=1e-4)
LEVELS = 'none', 'exact', 'mixed', 'compiled', 'compiled-mixed'
Outputs = tuple[Tensor, Tensor]


def theirs(segmenter: dict, side: int) -> Any:
    """A model of transformers of the same sizes, with random weights."""
    try:
        import transformers
    except ImportError as error:
        raise UserError('The class to compare with is of transformers: pip '
                        'install "transformers>=5.3", or leave it out with '
                        '--alone.') from error
    backbone = segmenter['backbone']
    return draw(transformers.VideomtForUniversalSegmentation(
        transformers.VideomtConfig(
            hidden_size=backbone['embed_dims'],
            num_hidden_layers=backbone['depth'],
            num_attention_heads=backbone['num_heads'],
            num_queries=segmenter.get('num_queries', 200),
            num_blocks=segmenter['num_blocks'],
            num_labels=segmenter['num_classes'], image_size=side)))


def draw(model: Any) -> Any:
    """Random weights, that let values keep their size."""
    torch.manual_seed(0)
    for value in model.parameters():
        scale = .3 if value.dim() == 1 else value[0].numel()**-.5
        value.data = torch.randn_like(value) * scale
    return model.eval()


def ours(config: dict, state: dict) -> Any:
    """The model of a config with these weights."""
    model = MODELS.build(config)
    model.load_state_dict(state, strict=True)
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


def ways(name: str, side: int, levels: list[str], frames: Tensor,
         alone: bool) -> dict[str, Callable[[], Outputs]]:
    """Those that take turns, by name; each gives its outputs."""
    cfg = Config.fromfile(ROOT / 'configs/videomt' / CONFIGS[name]).model
    cfg.segmenter.backbone.pos_grid = (side // 16, ) * 2
    found: dict[str, Callable[[], Outputs]] = {}
    if alone:
        state = draw(MODELS.build(cfg)).state_dict()
    else:
        official = theirs(cfg.segmenter, side).to(frames.device)
        state = official.state_dict()
        state = KEY_MAPS[guess_system(state)].convert(state)

        def released() -> Outputs:
            found = official(pixel_values_videos=frames[None])
            return found.class_queries_logits, found.masks_queries_logits

        found['transformers'] = released
    for level in levels:
        model = ours(cfg, state).to(frames.device)
        if level != 'none':
            optimize_model(model)
        if 'compiled' in level:
            compile_model(model)

        def run(model: Any = model,
                precision: str = level.removeprefix('compiled-')) -> Outputs:
            with precision_of(precision, frames.device):
                return follow(model, frames)

        found[level] = run
    return found


@torch.no_grad()
def rows(args: argparse.Namespace) -> Iterator[tuple]:
    """Of the table: model, side, who, seconds and frames a second, how many
    times as fast as the first, how far from its outputs."""
    device: torch.device = args.device
    for name in args.models:
        for side in args.sides:
            frames = torch.randn(args.frames, 3, side, side, device=device)
            runs = ways(name, side, args.levels, frames, args.alone)
            first = next(iter(runs))
            expected = runs[first]()
            far = {key: max(float((a - b).abs().max() / b.abs().max())
                            for a, b in zip(run(), expected, strict=True))
                   for key, run in runs.items()}
            for key, value in far.items():
                if 'mixed' not in key and value > TOLERANCE[device.type]:
                    raise UserError(f'{key} is {value:.1e} from the outputs '
                                    f'of {first}: not the same work.')
            times: dict[str, list[float]] = {key: [] for key in runs}
            for turn in range(args.repeats):
                for key in list(runs)[::-1 if turn % 2 else 1]:
                    begin = now(device)
                    runs[key]()
                    times[key].append((now(device) - begin) / len(frames))
            for key, spent in times.items():
                ratio = np.divide(times[first], spent)
                middle = np.median(spent)
                yield (f'ViT-{name.upper()}', f'{side}x{side}', key,
                       f'{middle:.4f} s', f'{1 / middle:.1f}',
                       f'{np.median(ratio):.2f}', f'{far[key]:.0e}')


def now(device: torch.device) -> float:
    """Seconds: of this process on a CPU; on a GPU of the clock, with all work
    done."""
    if device.type == 'cpu':
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', nargs='+', choices=CONFIGS,
                        default=['s'], help='ViT-S, B, L (default: s)')
    parser.add_argument('--sides', type=int, nargs='+', default=[640],
                        help='of the frames, multiples of 16 (default: 640)')
    parser.add_argument('--levels', nargs='+', default=['none', 'exact'],
                        choices=LEVELS)
    parser.add_argument('--device', default='cpu',
                        help='cpu or cuda (default: %(default)s)')
    parser.add_argument('--alone', action='store_true', help='without '
                        'transformers; the first of the levels is what the '
                        'others are compared with')
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
    device = choose_device(args.device)
    if device.type == 'cpu':
        torch.set_num_threads(1)
    else:  # what must be equal is in single precision
        torch.backends.cudnn.allow_tf32 = False
    args.device = device
    init_default_scope('mmdet')
    warnings.simplefilter('ignore')
    print('| model | size | who | time a frame | frames/s | times as fast | '
          'largest difference |' + '\n|' + ' --- |' * 7)
    for row in rows(args):
        print(f'| {" | ".join(row)} |', flush=True)


if __name__ == '__main__':
    run_tool(main)
