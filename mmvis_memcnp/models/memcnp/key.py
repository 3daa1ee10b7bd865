"""The one config key of a host: ``memcnp=dict(type='MemCNP', ...)``."""
from collections.abc import Mapping
from typing import Any, NamedTuple

from mmdet.registry import MODELS

from .context import ContextModule

#: Options of a part by name, and those of its parts.
Settings = Mapping[str, Any]


class MemCNPKey(NamedTuple):
    """What ``memcnp`` of a host says, completed by the host's defaults.

    Attributes:
        module: ``type`` and options of the module.
        training: Config of each rule of the training; None for one that is
            switched off.
        tracker: Settings of the tracker that differ from the host's.
    """
    module: Settings
    training: Mapping[str, dict | None]
    tracker: Settings

    def build(self, **defaults: int) -> ContextModule:
        """The module.

        Args:
            defaults: Options that follow the host, such as ``feat_dims``.
        """
        return MODELS.build({**defaults, **self.module})


def merge_settings(base: Settings, *changes: Settings) -> dict:
    """A nested config with the values of others put over it, in turn."""
    out = dict(base)
    for change in changes:
        for name, value in change.items():
            nested = isinstance(value, Mapping) and isinstance(
                out.get(name), Mapping)
            out[name] = merge_settings(out[name], value) if nested else value
    return out


def split_key(memcnp: Settings, **defaults: dict) -> MemCNPKey:
    """Take the key of a host apart.

    Beside the options of its module the key may hold ``training=dict(...)``,
    with a config for any of the rules ``assigner``, ``loss`` and
    ``contrast``, and ``tracker=dict(...)``. A config without ``type``, or
    with that of the default, changes options of the default, one with another
    ``type`` replaces it. ``contrast=None`` leaves the contrast of the
    embeddings (eq 16) to the host.

    Args:
        memcnp (Mapping): The key.
        defaults (dict): The host's rules by name.

    Returns:
        MemCNPKey: Rules of the names in ``defaults``.

    Raises:
        ValueError: If a rule is not known or cannot be left out, or the loss
            measures in another ``box_unit`` than the module.
    """
    module = dict(memcnp)
    given = dict(module.pop('training', None) or {})
    tracker = dict(module.pop('tracker', None) or {})
    unknown = sorted(given.keys() - defaults.keys())
    if unknown:
        raise ValueError(f'memcnp.training has no {unknown[0]!r}: it may hold '
                         f'{", ".join(defaults)}.')
    training: dict[str, dict | None] = {}
    for name, default in defaults.items():
        rule = given.get(name, {})
        if rule is None and name != 'contrast':
            raise ValueError(f'memcnp.training.{name} is None, but MemCNP '
                             'does not train without: leave it out for the '
                             f'default, {default["type"]}.')
        if rule is not None and rule.get('type',
                                         default['type']) == default['type']:
            rule = {**default, **rule}
        training[name] = rule
    # The loss measures in the unit that the results are read in.
    loss = training.get('loss')
    if loss and 'box_unit' in loss:
        raise ValueError('memcnp.training.loss has box_unit: set '
                         f'memcnp.box_unit={loss["box_unit"]!r} in its place, '
                         'which is that of the results as well.')
    if loss and 'box_unit' in module:
        training['loss'] = {**loss, 'box_unit': module['box_unit']}
    return MemCNPKey(module, training, tracker)
