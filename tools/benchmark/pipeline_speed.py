"""Compare the processor time of whole pipelines with another checkout's.

Both checkouts run the same configs with random weights on the same noise,
each in a process of its own that takes turns with the other, one thread
each: resizing, network, association, masks, run-length codes, the store. A
turn is four frames, as demo and test take them; a checkout that takes one at
a time takes four in a row.

Example:

    git worktree add /tmp/other bf8f459
    python tools/benchmark/pipeline_speed.py /tmp/other --optimize none exact
"""
from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import json
import os
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from turns import Checkout, take_turns

from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.results.ownership import check_file, new_file

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ('idol/idol_r50_8xb4-12k_youtubevis2021.py',
           'seqformer/seqformer_r50_8xb2-12k_youtubevis2021.py',
           'instanceformer/instanceformer_r50_4xb4-16e_youtubevis2021.py')
TURN = 4
# About as many instances as a video of YouTube-VIS shows.
INSTANCES = 10


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('other', type=Path, help='checkout to compare with')
    parser.add_argument('--configs', nargs='+', default=CONFIGS,
                        help='below configs/, of both (default: %(default)s)')
    parser.add_argument('--optimize', nargs='+', default=['none'],
                        choices=['none', 'exact', 'mixed'],
                        help='levels of this checkout (default: none)')
    parser.add_argument('--turns', type=int, default=3,
                        help='measured turns of four frames, after one to '
                        'warm up (default: %(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=[360, 640],
                        metavar=('H', 'W'), help='of frames and network input'
                        ' before padding (default: 360 640)')
    parser.add_argument('--json', type=Path, help='also write the numbers')
    add_overwrite_option(parser)
    return parser.parse_args()


# -- the worker, which runs in either checkout ------------------------------
def work(config: str, level: str, height: int, width: int) -> None:
    """Take turns: a line in, the seconds of a turn out."""
    import time
    import warnings

    import numpy as np
    import torch
    from mmengine.config import Config

    from mmvis_memcnp.apis import VISInferencer
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    cfg = Config.fromfile(f'configs/{config}')
    _set_size(cfg.test_dataloader, (width, height))
    _forget_pretrained(cfg.model)
    torch.manual_seed(0)
    inferencer = VISInferencer(cfg, None, 'cpu')
    _show_some(inferencer.model)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, height // 8, width // 8, 3), np.uint8)
    frames = list(coarse.repeat(8, 1).repeat(8, 2))
    # The first frame sets the weights, which must be those of all levels.
    inferencer.session().step(frames[:1])
    if level in ('exact', 'mixed'):
        from mmvis_memcnp.engine.optimize import optimize_model
        optimize_model(inferencer.model)
        inferencer.optimize = level
    session, at, found = inferencer.session(), 0, 0
    for line in sys.stdin:
        begin = time.process_time()
        if line.strip() == 'end':
            found += sum(len(r) for r in session.flush())
            tracks = session.finish().tracks
            print(json.dumps(dict(seconds=time.process_time() - begin,
                                  instances=found / max(at, 1),
                                  tracks=len(tracks))), flush=True)
            session, at, found = inferencer.session(), 0, 0
            continue
        part = [frames[(at + t) % len(frames)] for t in range(TURN)]
        for batch in ([f] for f in part) if level == 'one' else [part]:
            found += sum(len(r) for r in session.step(batch))
        at += TURN
        print(json.dumps(dict(seconds=time.process_time() - begin)),
              flush=True)


def _set_size(node: Any, scale: tuple[int, int]) -> None:
    """Whatever a test pipeline resizes to."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'scale':
                node[key] = scale
            elif key == 'scales':
                node[key] = [scale]
            else:
                _set_size(value, scale)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _set_size(value, scale)


def _forget_pretrained(cfg: Any) -> None:
    for key, value in cfg.items():
        if key == 'init_cfg' and (value or {}).get('type') == 'Pretrained':
            cfg[key] = None
        elif isinstance(value, dict):
            _forget_pretrained(value)


def _show_some(model: Any) -> None:
    """Spread the class scores of the first frame: some queries pass 0.5."""
    import torch
    torch.manual_seed(0)
    for parameter in model.parameters():  # the same in both checkouts
        if parameter.dim() > 1:
            torch.nn.init.xavier_uniform_(parameter)
    branches = [m for n, m in model.named_modules()
                if n.endswith('cls_branches')]
    branch = branches[0][-1]

    def spread(_: Any, __: Any, logits: Any) -> Any:
        handle.remove()
        best = logits.flatten(0, -2)[:300].float().amax(-1).sort(
            descending=True).values
        factor = 8 / best.std().clamp(min=1e-6)
        limit = best[min(INSTANCES, len(best) - 1)]
        branch.weight.data *= factor
        branch.bias.data = (branch.bias.data - limit) * factor
        return (logits - limit) * factor

    handle = branch.register_forward_hook(spread)


# -- the two processes ------------------------------------------------------
def compare(config: str, args: argparse.Namespace) -> dict[str, Any]:
    """Medians of all levels of this checkout against the other one."""
    with ExitStack() as stack:
        size = tuple(map(str, args.size))
        runners = dict(other=Checkout(stack, args.other.resolve(), __file__,
                                      config, 'one', *size))
        for level in args.optimize:
            runners[level] = Checkout(stack, ROOT, __file__, config, level,
                                      *size)
        ends: dict[str, dict] = {}
        take_turns(runners, args.turns)
        for name, runner in runners.items():
            ends[name] = runner.ask('end')
    # The end belongs to all frames, those of the warm-up, too.
    share = 1 / (args.turns + 1)
    times = {name: [(s + ends[name]['seconds'] * share) / TURN
                    for s in runner.seconds]
             for name, runner in runners.items()}
    row: dict[str, Any] = dict(config=config)
    for name, found in times.items():
        ratios = [a / b for a, b in zip(found, times['other'], strict=True)]
        row[name] = dict(
            seconds=round(statistics.median(found), 4),
            ratio=round(statistics.median(ratios), 3),
            least=round(min(ratios), 3), most=round(max(ratios), 3),
            instances=round(ends[name]['instances'], 1),
            tracks=ends[name]['tracks'])
        print('{:62} {:6} {seconds:7.3f} s a frame, ratio {ratio:.3f} '
              '({least:.3f} to {most:.3f}), {instances} instances a frame, '
              '{tracks} tracks'.format(config, name, **row[name]), flush=True)
    return row


def main() -> None:
    args = parse_args()
    if args.json:
        check_file(args.json, '--json', args.overwrite)
    rows = [compare(config, args) for config in args.configs]
    print(f'load {os.getloadavg()[0]:.1f}')
    if args.json:
        with new_file(args.json, args.overwrite, '--json') as path:
            path.write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    if sys.argv[1:2] == ['--work']:
        work(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:6]))
    else:
        run_tool(main)
