"""Time every system by part: read, network, association, output.

Systems of one family, with and without MemCNP, and all variants of each
(single and mixed precision; as they are, optimized, compiled) take turns, so
that a machine that slows down slows all; ratios are those of pairs of turns.
Weights are random, with about ten instances a frame; see
tools/benchmark/README.md. Writes a csv, anew after each family, and prints a
table for the docs.

Examples:

    python tools/benchmark/speed.py --out speed.csv
    python tools/benchmark/speed.py --device cpu --tiny --families idol
    python tools/benchmark/speed.py --device cpu \\
        --configs idol/A.py minvis/B.py
"""
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'analysis_tools'))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import csv
import gc
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import benchmark  # before mmdet: the package's shims
import numpy as np
import torch
from gpu_check import systems
from mmengine.config import Config, ConfigDict
from tensor_memory import TensorMemory

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.cli.numbers import positive
from mmvis_memcnp.cli.options import add_config_options
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.engine.optimize import (
    compile_model,
    optimize_model,
)
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results.ownership import (
    check_file,
    new_file,
)

ROOT = Path(__file__).resolve().parents[2]


class Variant(NamedTuple):
    """How a model runs.

    Attributes:
        amp (bool): Its network under autocast.
        optimize (bool): With :func:`optimize_model`.
        compile (bool): With :func:`compile_model`.
    """
    amp: bool = False
    optimize: bool = False
    compile: bool = False


#: The first is what the others are compared with.
VARIANTS = {
    'float32': Variant(), 'amp': Variant(amp=True),
    'float32-optimized': Variant(optimize=True),
    'amp-optimized': Variant(amp=True, optimize=True),
    'float32-compiled': Variant(optimize=True, compile=True),
    'amp-compiled': Variant(amp=True, optimize=True, compile=True)}
#: Of the frames, height and width; a config resizes them as its paper does.
SIZE = 720, 1280
COLUMNS = ('system', 'variant', 'device', 'input', 'chunk', 'instances',
           *benchmark.PARTS, 'total', 'fps', 'to_float32', 'to_host',
           'weights_mib', 'peak_mib')
#: About as many instances as a video of YouTube-VIS or OVIS shows.
INSTANCES = 10
#: What lets a model of random weights find that many, by the name of its
#: config: no score is too low, no mask too much like another one.
_DENSE = {'model.bbox_head.test_cfg.score_thr': 0.,
          'model.bbox_head.test_cfg.max_per_img': INSTANCES}
_QUERIES = {'model.mask_nms_iou': 1.}
#: All queries of the first frame, and no more in the others.
_ROWS = {'model.start_thr': 0., 'model.score_thr': 1.,
         'model.max_gap': 1000}
#: The best queries, which a frame's masks are made of.
_SHOWN = {'model.num_shown': INSTANCES}
OPTIONS: dict[str, dict[str, Any]] = {
    'sipmask': _DENSE, 'sipmask-memcnp': _DENSE,
    'idol': _QUERIES, 'idol-memcnp': _QUERIES,
    'dvis-daq': _ROWS, 'dvis-daq-memcnp': _ROWS,
    'videomt': _SHOWN, 'videomt-memcnp': _SHOWN}
#: Systems whose detections are the queries above ``score_thr``.
THRESHOLD = ('idol', 'idol-memcnp')


# -- models that find something -------------------------------------------
def load(config: str, device: torch.device, options: dict,
         input_hw: Sequence[int] | None = None) -> VISInferencer:
    """A model with the random weights that its training starts from.

    Args:
        config (str): Below ``configs/``.
        device (torch.device): Where.
        options (dict): Overrides of the config.
        input_hw (Sequence[int], optional): Height and width of the network's
            input. Defaults to what the config makes of a frame.
    """
    cfg = Config.fromfile(ROOT / 'configs' / config)
    cfg.merge_from_dict(options)
    if input_hw is not None:
        _resize_to(cfg.test_dataloader, tuple(input_hw))
    _forget_pretrained(cfg.model)
    torch.manual_seed(0)
    logging.disable(logging.INFO)  # a line a parameter
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = VISInferencer(cfg, None, str(device))
    inferencer.model.init_weights()
    logging.disable(logging.NOTSET)
    return inferencer


def _forget_pretrained(cfg: ConfigDict) -> None:
    """Weights that would be fetched are not needed."""
    for key, value in cfg.items():
        if key == 'init_cfg' and (value or {}).get('type') == 'Pretrained':
            cfg[key] = None
        elif isinstance(value, dict):
            _forget_pretrained(value)


def _resize_to(node: Any, input_hw: tuple[int, ...]) -> None:
    """Frames get this size, whatever theirs."""
    if isinstance(node, dict):
        if node.get('type') == 'Resize':
            node.update(scale=input_hw[::-1], keep_ratio=False)
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            _resize_to(part, input_hw)


def _let_some_pass(model: Any) -> None:
    """Spread the class scores: ``INSTANCES`` of the first frame pass 0.5."""
    branch = model.segmenter.cls_branches[-1]

    def spread(_: Any, __: Any, logits: torch.Tensor) -> torch.Tensor:
        handle.remove()
        best = logits[0].float().amax(-1).sort(descending=True).values
        factor = 8 / best.std().clamp(min=1e-6)
        limit = best[min(INSTANCES, len(best) - 1)]
        branch.weight.data *= factor
        branch.bias.data = (branch.bias.data - limit) * factor
        return ((logits.float() - limit) * factor).to(logits.dtype)

    handle = branch.register_forward_hook(spread)


def system_of(config: str) -> str:
    """``idol-memcnp`` of ``idol/idol-memcnp_r50_8xb4-...py``."""
    return Path(config).name.split('_')[0]


# -- one model ------------------------------------------------------------
def contestant(config: str, variant: Variant, device: torch.device,
               images: Sequence[np.ndarray], chunk: int = 1,
               clock: Callable[[], float] = time.perf_counter,
               input_hw: Sequence[int] | None = None,
               options: dict | None = None) -> benchmark.Contestant:
    """A model of random weights that finds something, ready to be timed.

    Args:
        config (str): Below ``configs/``.
        variant (Variant): How it runs.
        device (torch.device): Where.
        images (Sequence[ndarray]): The video, (H, W, 3), uint8.
        chunk (int): Frames that the network gets at once.
        clock (Callable): See :class:`benchmark.Contestant`.
        input_hw (Sequence[int], optional): See :func:`load`.
        options (dict, optional): Overrides of the config, besides
            ``OPTIONS``.
    """
    name = system_of(config)
    inferencer = load(config, device,
                      {**OPTIONS.get(name, {}), **(options or {})}, input_hw)
    if name in THRESHOLD:
        _let_some_pass(inferencer.model)
        with torch.no_grad():  # before layers are changed or compiled
            inferencer.session().step(images[0])
    if variant.optimize:
        optimize_model(inferencer.model)
    if variant.compile:
        compile_model(inferencer.model)
    return benchmark.Contestant(inferencer, images, variant.amp, chunk, clock)


def video(size: tuple[int, int], frames: int) -> list[np.ndarray]:
    """A video of noise."""
    images = benchmark.textured_frames(min(frames, 8), size)
    return [images[t % len(images)] for t in range(frames)]


def measure(config: str, variant: Variant, device: torch.device,
            size: tuple[int, int], frames: int,
            input_hw: Sequence[int] | None = None) -> dict[str, Any]:
    """Frames a second of one model by part.

    Args:
        config, variant, device: See :func:`contestant`.
        size (tuple[int, int]): (H, W) of the frames.
        frames (int): Of the video, which is taken twice, first to warm up.
        input_hw (Sequence[int], optional): See :func:`load`.
    """
    images = video(size, frames)
    model = contestant(config, variant, device, images, input_hw=input_hw)
    for _ in range(frames):
        model.frame()
    model.forget()
    for _ in range(frames):
        model.frame()
    model.end()
    report = model.report()
    return dict(fps=round(report['fps'], 2),
                instances=round(report['instances'], 1),
                input_hw=model.input_hw(images[0]), frames=frames,
                ms={part: round(ms['mean'], 3)
                    for part, ms in report['ms'].items()})


# -- a family -------------------------------------------------------------
def family_of(config: str) -> str:
    """``idol`` of ``idol/idol-memcnp_r50_8xb4-...py``."""
    return config.split('/')[0]


def compare(configs: list[str], args: argparse.Namespace
            ) -> list[dict[str, Any]]:
    """Rows of all variants of some systems, which take turns."""
    device = torch.device(args.device)
    images = video(tuple(args.size), args.frames)
    clock = time.perf_counter if device.type == 'cuda' else time.process_time
    models = {(config, name): contestant(config, VARIANTS[name], device,
                                         images, args.chunk, clock,
                                         args.input, args.cfg_options)
              for config in configs for name in args.variants}
    peaks = dict.fromkeys(models, 0)
    turns = -(-args.frames // args.chunk)
    for turn in range(2 * turns):
        if turn == turns:  # a whole video warmed up
            for model in models.values():
                model.forget()
        for key in list(models)[::-1 if turn % 2 else 1]:
            if device.type == 'cuda':
                peak = _peak_on_card(models[key], device)
            elif turn < turns and not VARIANTS[key[1]].compile:
                # Counting takes time: in the warm-up alone.
                with TensorMemory() as memory:
                    models[key].frame()
                peak = memory.most_tensors
            else:
                models[key].frame()
                peak = 0
            peaks[key] = max(peaks[key], peak)
    for model in models.values():
        model.end()
    times = {key: model.by_part() for key, model in models.items()}
    rows = []
    for (config, name), model in models.items():
        parts, report = times[config, name], model.report()
        host = configs[0], name
        height, width = model.input_hw(images[0])
        row: dict[str, Any] = dict(
            system=system_of(config), variant=name, device=device_name(device),
            input=f'{height}x{width}', chunk=args.chunk,
            instances=round(report['instances'], 1),
            fps=round(report['fps'], 2),
            to_float32=_ratio(parts, times.get((config, 'float32'))),
            to_host=_ratio(parts, times.get(host)),
            weights_mib=round(model.weights() / 2**20),
            peak_mib=round(peaks[config, name] / 2**20) or '')
        row.update({part: round(float(ms.mean()), 3)
                    for part, ms in parts.items()})
        rows.append(row)
    return rows


def _ratio(times: dict, others: dict | None) -> float | str:
    """Median of the frames' ratios."""
    if others is None:
        return ''
    found = benchmark.ratio(times['total'], others['total'])
    return round(found['median'], 3) if found else ''


def device_name(device: torch.device) -> str:
    """For the csv."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads, seconds of processors'


def _peak_on_card(model: benchmark.Contestant, device: torch.device) -> int:
    """Bytes that a turn takes beside what is there."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    model.frame()
    return torch.cuda.max_memory_allocated(device) - before


# -- output ---------------------------------------------------------------
def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """All rows, whole or not at all."""
    with new_file(path, overwrite=True, durable=False) as part, \
            open(part, 'w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def table(rows: list[dict[str, Any]]) -> str:
    """For the docs: milliseconds a frame."""
    names = [c for c in COLUMNS if c != 'device']
    lines = [names, ['---'] * len(names)]
    lines += [[str(round(row[c], 1) if c in (*benchmark.PARTS, 'total')
                   else row[c]) for c in names] for row in rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--families', nargs='+', metavar='NAME',
                        help='folders of configs (default: all)')
    parser.add_argument('--configs', nargs='+', metavar='PATH',
                        help='below configs/: these take turns, in place of '
                        'families; the first is the host')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS,
                        default=list(VARIANTS), help='default: all')
    parser.add_argument('--device', default='cuda:0')
    parser.add_argument('--size', type=int, nargs=2, metavar=('H', 'W'),
                        help='of the frames, which configs resize (default: '
                        '720 1280)')
    parser.add_argument('--input', type=int, nargs=2, metavar=('H', 'W'),
                        help="of the networks' input (default: what a config "
                        'makes of a frame)')
    add_config_options(parser)
    parser.add_argument('--frames', type=int, default=20,
                        help='of the video (default: %(default)s)')
    parser.add_argument('--chunk', type=int, default=4, help='frames that a '
                        'network gets at once (default: %(default)s)')
    parser.add_argument('--minutes', type=positive, default=60,
                        help='begin no family later (default: %(default)s)')
    parser.add_argument('--tiny', action='store_true',
                        help='small models and frames, for a dry run')
    parser.add_argument('--out', type=Path, default=Path('outputs/speed.csv'))
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    args.size = args.size or ((64, 96) if args.tiny else SIZE)
    if min(args.frames, args.chunk, *args.size, *args.input or ()) < 1:
        raise UserError('--frames, --chunk, --size and --input must be '
                        'positive.')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        raise UserError(f'PyTorch {torch.__version__} sees no GPU here: give '
                        '--device cpu, with --tiny for a dry run.')
    missing = [c for c in args.configs or ()
               if not (ROOT / 'configs' / c).is_file()]
    if missing:
        raise UserError(f'There is no config at configs/{missing[0]}.')
    configs = systems(args.tiny)
    families = {family_of(config) for config in configs}
    unknown = set(args.families or ()) - families
    if unknown:
        raise UserError(f'There is no family {min(unknown)}: use '
                        f'{", ".join(sorted(families))}.')
    # Written again and again, and the file of the run before is replaced.
    check_file(args.out, '--out', overwrite=True)
    begin, rows = time.monotonic(), []
    groups = {'--configs': args.configs} if args.configs else {
        family: [c for c in configs if family_of(c) == family]
        for family in sorted(args.families or families)}
    for name, group in groups.items():
        if time.monotonic() - begin > 60 * args.minutes:
            print(f'{name}: not begun, time is up', flush=True)
            continue
        found = compare(group, args)
        rows += found
        write_csv(args.out, rows)
        print(table(found), flush=True)
        gc.collect()
    print(f'{len(rows)} rows: {args.out}')


if __name__ == '__main__':
    run_tool(main)
