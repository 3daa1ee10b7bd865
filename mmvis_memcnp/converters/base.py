"""Renaming of the tensors of official checkpoints, strict both ways."""
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class KeyMap:
    """Ordered rules from official key names to the names of this package.

    Args:
        marker: a tensor name that of all official code bases only this one
            has.
        rules: ``(pattern, replacement)`` for :func:`re.sub`, matched at the
            start of a key; the first rule that matches is applied, keys that
            no rule matches keep their names.
        ignored: pattern of official keys that have no counterpart by design.
        norm_counters: add ``num_batches_tracked`` beside every running
            variance; detectron2's frozen batch norm keeps none.
    """

    def __init__(self,
                 marker: str,
                 rules: tuple[tuple[str, str], ...] = (),
                 ignored: str | None = None,
                 norm_counters: bool = False) -> None:
        self.marker = marker
        self.norm_counters = norm_counters
        self.rules = [(re.compile(p), r) for p, r in rules]
        self.ignored = re.compile(ignored) if ignored else None

    def rename(self, key: str) -> str:
        """Name of one tensor in this package."""
        for pattern, replacement in self.rules:
            if pattern.match(key):
                return pattern.sub(replacement, key, count=1)
        return key

    def convert(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename a whole state dict.

        Raises:
            ValueError: if two tensors would get the same name.
        """
        out: dict[str, Tensor] = {}
        for key, value in state_dict.items():
            if self.ignored is not None and self.ignored.match(key):
                continue
            name = self.rename(key)
            if name in out:
                raise ValueError(f'Two official tensors map to {name!r}; the '
                                 'checkpoint is not of this system.')
            out[name] = value
        if self.norm_counters:
            for name in [n for n in out if n.endswith('.running_var')]:
                counter = name.replace('running_var', 'num_batches_tracked')
                out.setdefault(counter, torch.tensor(0))
        return out


def check_against(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Insist that names and shapes are exactly those of the model.

    Raises:
        ValueError: naming the tensors that are missing, left over or of
            another shape.
    """
    own = model.state_dict()
    missing = sorted(own.keys() - state_dict.keys())
    extra = sorted(state_dict.keys() - own.keys())
    shapes = sorted(
        f'{k} {tuple(state_dict[k].shape)} instead of {tuple(own[k].shape)}'
        for k in own.keys() & state_dict.keys()
        if own[k].shape != state_dict[k].shape)
    problems = [
        f'{what}: {", ".join(keys[:5])}' +
        (f' and {len(keys) - 5} more' if len(keys) > 5 else '')
        for what, keys in (('missing', missing), ('unexpected', extra),
                           ('other shape', shapes)) if keys
    ]
    if problems:
        raise ValueError(
            'The converted checkpoint does not fit the model ('
            f'{"; ".join(problems)}): use the config that matches the '
            'checkpoint (backbone, classes, with or without MemCNP).')
