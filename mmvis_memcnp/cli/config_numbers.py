"""Numbers of a config whose mistakes would show far from their cause."""
from typing import Any

from mmengine.config import Config

from ..errors import UserError

#: Dotted key to the least whole number that its value may be.
_COUNTS = {
    'train_dataloader.batch_size': 1,
    'train_dataloader.num_workers': 0,
    'train_cfg.max_iters': 1,
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
}
_RATE = 'optim_wrapper.optimizer.lr'


def check_numbers(cfg: Config) -> None:
    """Refuse numbers that no training can have.

    Args:
        cfg: The config; keys that it lacks are passed over.

    Raises:
        UserError: Naming the first key whose value is no such number.
    """
    for key, least in _COUNTS.items():
        value = _value(cfg, key)
        if value is not None and (type(value) is not int or value < least):
            raise UserError(f'{key} must be a whole number of at least '
                            f'{least}, got {value!r}.')
    rate = _value(cfg, _RATE)
    if rate is not None and not (
            type(rate) in (int, float) and 0 < rate < float('inf')):
        raise UserError(f'{_RATE} must be a number above 0, got {rate!r}.')
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


def _value(cfg: Config, key: str) -> Any:
    """What a config has under a dotted key, or None."""
    node: Any = cfg
    for part in key.split('.'):
        node = node.get(part) if hasattr(node, 'get') else None
    return node
