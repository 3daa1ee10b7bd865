"""Numbers of a config whose mistakes would show far from their cause."""
from typing import Any

from mmengine.config import Config

from ..errors import UserError

_COUNT = 'a whole number of at least 1'
#: Dotted key to what its value must be.
_TRAINING = {
    'train_dataloader.batch_size': _COUNT,
    'train_dataloader.num_workers': 'a whole number of at least 0',
    'train_cfg.max_iters': _COUNT,
    'train_cfg.max_epochs': _COUNT,
    'train_cfg.val_interval': _COUNT,
    'optim_wrapper.optimizer.lr': 'a number above 0',
}


def check_numbers(cfg: Config) -> None:
    """Refuse numbers that no training can have.

    Args:
        cfg: The config; keys that it lacks are passed over.

    Raises:
        UserError: Naming the first key whose value is no such number.
    """
    for key, wanted in _TRAINING.items():
        node: Any = cfg
        for part in key.split('.'):
            node = node.get(part) if hasattr(node, 'get') else None
        if node is not None and not _fits(node, wanted):
            raise UserError(f'{key} must be {wanted}, got {node!r}.')
    schedules = cfg.get('param_scheduler') or []
    for i, part in enumerate([schedules] if isinstance(schedules, dict)
                             else schedules):
        begin, end = part.get('begin', 0), part.get('end')
        if isinstance(end, int) and end <= begin:
            raise UserError(
                f'param_scheduler.{i}.end={end} is not behind its begin='
                f'{begin}: set begin and end of all parts of the schedule for '
                'the length of this training.')
    scale = cfg.get('auto_scale_lr') or {}
    if scale.get('enable') and not scale.get('base_batch_size'):
        raise UserError(
            'auto_scale_lr.enable=True needs the batch that the learning rate '
            'is meant for: add auto_scale_lr.base_batch_size=N, its clips a '
            'step over all GPUs.')


def _fits(value: Any, wanted: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if wanted == 'a number above 0':
        return 0 < value < float('inf')
    return isinstance(value, int) and value >= int(wanted[-1])
