"""Does a checkpoint belong to this model?"""
from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ..converters import check_converted
from ..datasets.class_counts import class_counts
from ..errors import UserError

# A checkpoint of which less than this share of the names is known, by either
# count, is of another model and not an initialisation of this one.
_HARDLY_ANY = 0.1
# More entries a class than this are channels that happen to divide.
_MAX_ANCHORS = 9
# Names of buffers that older checkpoints lack and that no result depends on.
_HARMLESS = re.compile(r'\.num_batches_tracked$')


@dataclass
class KeyReport:
    """How the names of a checkpoint compare with those of a model.

    Attributes:
        matched: Names of both, with the same shape.
        missing: Names of the model alone.
        unexpected: Names of the checkpoint alone.
        reshaped: Name to (shape in the checkpoint, shape in the model).
    """

    matched: list[str]
    missing: list[str]
    unexpected: list[str]
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


def compare_keys(checkpoint: Mapping[str, Tensor],
                 model: Mapping[str, Tensor]) -> KeyReport:
    """Compare two state dicts by name and shape.

    Args:
        checkpoint: Weights of the checkpoint.
        model: Weights of the model.

    Returns:
        The comparison; ``num_batches_tracked`` of batch norms is left out of
        ``missing``.
    """
    both = [name for name in model if name in checkpoint]
    reshaped = {
        name: (tuple(checkpoint[name].shape), tuple(model[name].shape))
        for name in both if checkpoint[name].shape != model[name].shape
    }
    return KeyReport(
        matched=[name for name in both if name not in reshaped],
        missing=[
            name for name in model
            if name not in checkpoint and not _HARMLESS.search(name)
        ],
        unexpected=[name for name in checkpoint if name not in model],
        reshaped=reshaped)


def class_channels(cfg: Mapping, model: nn.Module) -> set[int]:
    """The numbers of channels that a class head of a model can have.

    Args:
        cfg (Mapping): Config of the model.
        model (nn.Module): The model; a module whose classes have other
            channels than one each, or one each and one for "no object", says
            how many there are: ``class_channels`` (int).

    Returns:
        set[int]: Numbers of channels.
    """
    counts = class_counts(cfg)
    found = [getattr(module, 'class_channels', None)
             for module in model.modules()]
    own = {count for count in found if isinstance(count, int)}
    return counts | {count + 1 for count in counts} | own


def is_class_head(old: tuple[int, ...], new: tuple[int, ...],
                  channels: set[int]) -> bool:
    """Whether two shapes differ in the number of classes alone.

    Args:
        old (tuple[int]): Shape in the checkpoint.
        new (tuple[int]): Shape in the model.
        channels (set[int]): See :func:`class_channels`.

    Returns:
        bool: True if they differ along the first axis only and the model has
        the channels of a class head there, for each of at most
        ``_MAX_ANCHORS`` anchors.
    """
    if len(old) != len(new) or not new or old[1:] != new[1:]:
        return False
    for entries in channels:
        anchors, rest = divmod(new[0], entries)
        if (rest == 0 and 1 <= anchors <= _MAX_ANCHORS
                and old[0] % anchors == 0):
            return True
    return False


def _some(names: list[str], limit: int = 3) -> str:
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def _parts(names: list[str]) -> str:
    """A few names, or the parts of many and how many each has."""
    if len(names) <= 4:
        return _some(names)
    parts = Counter('.'.join(name.split('.')[:3]) for name in names)
    return _some([f'{part} ({count})' for part, count in parts.items()], 8)


def _origin(checkpoint: Mapping[str, Any]) -> str:
    """What a checkpoint says about the model it was written from."""
    name = _model_type((checkpoint.get('meta') or {}).get('cfg'))
    if name is not None:
        return f'it was saved while training {name}'
    parts = Counter(
        name.split('.')[0] for name in checkpoint['state_dict'])
    return f'its parts are {_some([part for part, _ in parts.most_common()])}'


def _model_type(text: Any) -> str | None:
    """``model.type`` of a config's text, which is parsed and never run."""
    try:
        statements = ast.parse(text).body
    except (SyntaxError, TypeError, ValueError):
        return None
    for statement in statements:
        if isinstance(statement, ast.Assign) and \
                ast.unparse(statement.targets[0]) == 'model' and \
                isinstance(statement.value, ast.Call):
            for keyword in statement.value.keywords:
                if keyword.arg == 'type' and \
                        isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return None


@HOOKS.register_module()
class CheckpointCheckHook(Hook):
    """Refuse a checkpoint of another model before it is loaded.

    Without ``strict``, for the initial weights of a training, a module with a
    method ``adapt_weights(state_dict, prefix)`` may first change those of
    another variant of itself into its own. Then parts may be
    missing or left over, and a class head with another number of classes
    keeps its initial values; both are said in the log.

    Args:
        strict: Every weight must be there, with its shape, and no other: for
            testing and resuming.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check, and take out what is not to be loaded.

        Args:
            runner: The runner; its model has not been touched yet.
            checkpoint: The loaded file with its weights by name under
                ``state_dict``; class heads that do not fit are removed.

        Raises:
            UserError: The checkpoint does not belong to the model.
        """
        # mmengine runs this text as Python when it resumes.
        (checkpoint.get('meta') or {}).pop('config', None)
        if runner._resume and not {'meta', 'optimizer'} <= set(checkpoint):
            raise UserError(
                'The checkpoint given to --resume holds weights alone, not '
                'the state of a training: start a new one from them with '
                '--cfg-options load_from=CHECKPOINT.')
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        check_converted(checkpoint['state_dict'], model.state_dict())
        name = type(model).__name__
        if not self.strict:
            for prefix, module in model.named_modules():
                adapt: Any = getattr(module, 'adapt_weights', None)
                if adapt is not None:
                    adapt(checkpoint['state_dict'], f'{prefix}.')
        report = compare_keys(checkpoint['state_dict'], model.state_dict())
        if self.strict:
            self._check_all(report, name, checkpoint)
            return
        known = len(report.matched) + len(report.reshaped)
        if known < _HARDLY_ANY * len(checkpoint['state_dict']) and \
                known < _HARDLY_ANY * (known + len(report.missing)):
            raise UserError(
                f'The checkpoint of load_from is of another model: only '
                f'{known} of its {len(checkpoint["state_dict"])} weights '
                f'belong to {name} ({_origin(checkpoint)}); give one of '
                f'{name}, or convert it with tools/model_converters/.')
        self._drop_class_heads(runner, model, report, checkpoint)
        if report.missing:
            runner.logger.info(
                f'{len(report.missing)} weights are not in the checkpoint '
                f'and keep their initial values: {_parts(report.missing)}.')
        if report.unexpected:
            runner.logger.info(
                f'{len(report.unexpected)} weights of the checkpoint are not '
                f'used: {_parts(report.unexpected)}.')

    def _check_all(self, report: KeyReport, name: str,
                   checkpoint: dict) -> None:
        reshaped = [
            f'{key} {old} instead of {new}'
            for key, (old, new) in report.reshaped.items()
        ]
        faults = [
            f'{len(keys)} weights {what} ({_some(keys)})'
            for keys, what in ((report.missing, 'are missing'),
                               (reshaped, 'have another shape'),
                               (report.unexpected, 'are not of this model'))
            if keys
        ]
        if faults:
            raise UserError(
                f'The checkpoint does not belong to this {name}: '
                f'{"; ".join(faults)}; {_origin(checkpoint)}: give the '
                'config that the checkpoint was trained with.')

    def _drop_class_heads(self, runner: Runner, model: nn.Module,
                          report: KeyReport, checkpoint: dict) -> None:
        channels = class_channels(runner.cfg.get('model', {}), model)
        for key, (old, new) in report.reshaped.items():
            if not is_class_head(old, new, channels):
                raise UserError(
                    f'The checkpoint of load_from has {key} of shape {old}, '
                    f'the model needs {new}: give a checkpoint of the same '
                    'configuration.')
            del checkpoint['state_dict'][key]
        if report.reshaped:
            old, new = next(iter(report.reshaped.values()))
            # With as many classes it has a channel for "no object" or not.
            runner.logger.warning(
                f'The class head of the checkpoint has {old[0]} channels, '
                f'that of the model {new[0]} (other classes, or one for "no '
                'object" on one side alone); these weights keep their '
                f'initial values: {_some(list(report.reshaped), 8)}.')
