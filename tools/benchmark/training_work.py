"""One checkout's part of training_speed.py: a training that takes turns.

It runs in either checkout, so it imports what both have and no more.
"""
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def work(config: str, data_root: str, iterations: int,
         options: list[str]) -> None:
    """Take turns: a line in, seconds and losses of a turn out."""
    import runpy
    import time
    import warnings

    import torch
    from mmdet.registry import HOOKS
    from mmengine.hooks import Hook

    warnings.simplefilter('ignore')
    torch.set_num_threads(1)

    @HOOKS.register_module()
    class Turns(Hook):
        """Waits for a word before a turn."""
        priority = 'VERY_LOW'
        begin = reading = read = 0.
        seen = 0

        def before_train_iter(self, *_: Any, **__: Any) -> None:
            now = time.process_time()
            if self.seen:
                self.reading += now - self.read
            if self.seen % iterations == 0:
                if self.seen:
                    print(json.dumps(dict(
                        seconds=now - self.begin, reading=self.reading,
                        losses=[x.item() for x in self.losses])), flush=True)
                if sys.stdin.readline().strip() != 'turn':
                    os._exit(0)
                self.losses: list[torch.Tensor] = []
                self.reading, self.begin = 0., time.process_time()
            self.seen += 1

        def after_train_iter(self, *_: Any, **given: Any) -> None:
            self.losses.append(given['outputs']['loss'].detach())
            self.read = time.process_time()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        path.write_text(f"""_base_ = {os.path.abspath('configs')!r} '/{config}'
train_dataloader = dict(num_workers=0, persistent_workers=False,
                        dataset=dict(data_root={data_root!r}))
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
default_hooks = dict(checkpoint=None)
custom_hooks = [dict(type='Turns')]
""")
        sys.argv = ['tools/train.py', str(path), '--work-dir', folder]
        if options:
            sys.argv += ['--cfg-options', *options]
        runpy.run_path('tools/train.py', run_name='__main__')


if __name__ == '__main__':
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
