"""One checkout's part of pipeline_speed.py: a pipeline that takes turns.

It runs in either checkout, so it imports what both have and no more.
"""
import json
import sys
from typing import Any

TURN = 4
# About as many instances as a video of YouTube-VIS shows.
INSTANCES = 10


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


if __name__ == '__main__':
    work(*sys.argv[1:3], *map(int, sys.argv[3:]))
