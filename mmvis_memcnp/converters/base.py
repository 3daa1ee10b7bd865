"""Official tensors under the names of this package, strict both ways."""
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

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
        ignored: ``(pattern, what they are)`` of official keys that have no
            counterpart by design, matched at the start of a key.
        norm_counters: add ``num_batches_tracked`` beside every running
            variance; detectron2's frozen batch norm keeps none.
        values: ``(pattern, function)`` for tensors whose values are laid out
            differently, matched at the start of an official key; the first
            that matches is applied.
    """

    def __init__(
        self,
        marker: str,
        rules: tuple[tuple[str, str], ...] = (),
        ignored: tuple[tuple[str, str], ...] = (),
        norm_counters: bool = False,
        values: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = ()
    ) -> None:
        self.marker = marker
        self.norm_counters = norm_counters
        self.rules = [(re.compile(p), r) for p, r in rules]
        self.ignored = [(re.compile(p), what) for p, what in ignored]
        self.values = [(re.compile(p), f) for p, f in values]

    def rename(self, key: str) -> str:
        """Name of one tensor in this package."""
        for pattern, replacement in self.rules:
            if pattern.match(key):
                return pattern.sub(replacement, key, count=1)
        return key

    def why_ignored(self, key: str) -> str | None:
        """What a tensor is that has no counterpart, else None."""
        return next(
            (what for pattern, what in self.ignored if pattern.match(key)),
            None)

    def dropped(self, keys: Iterable[str]) -> dict[str, int]:
        """How many of these tensors are left out, by what they are."""
        reasons = map(self.why_ignored, keys)
        return dict(Counter(what for what in reasons if what is not None))

    def revalue(self, key: str, value: Tensor) -> Tensor:
        """Values of one tensor, given its official name."""
        for pattern, function in self.values:
            if pattern.match(key):
                return function(value)
        return value

    def convert(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename a whole state dict and lay its tensors out as here.

        Raises:
            ValueError: if two tensors would get the same name.
        """
        out: dict[str, Tensor] = {}
        for key, value in state_dict.items():
            if self.why_ignored(key) is not None:
                continue
            name = self.rename(key)
            if name in out:
                raise ValueError(f'Two official tensors map to {name!r}; the '
                                 'checkpoint is not of this system.')
            out[name] = self.revalue(key, value)
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
