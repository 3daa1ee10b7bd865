"""Official tensors under the names of this package, strict both ways."""
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Join(NamedTuple):
    """Official tensors that are one here, one below the other.

    Attributes:
        pattern: of their names, whole, with one group: what tells them apart.
        parts: what the group holds, in the order of the rows here.
        whole: what stands in the place of the group in the joined name.
    """
    pattern: str
    parts: tuple[str, ...]
    whole: str


class Derived(NamedTuple):
    """Tensors of ours that an official file lacks and another one gives.

    Attributes:
        pattern: of the name here of that other tensor.
        name: replacement that makes the name of the missing one.
        function: makes its values.
        what: what they are.
    """
    pattern: str
    name: str
    function: Callable[[Tensor], Tensor]
    what: str


#: Detectron2's frozen batch norm keeps none.
NORM_COUNTERS = Derived(
    r'(.*\.)running_var$', r'\1num_batches_tracked',
    lambda _: torch.tensor(0), 'counters of the batch norms')


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
        norm_counters: derive :data:`NORM_COUNTERS`.
        values: ``(pattern, function)`` for tensors whose values are laid out
            differently, matched at the start of an official key; the first
            that matches is applied.
        joins: tensors that are joined before all else.
        derived: tensors that are added in the end, where they are missing.
    """

    def __init__(
        self,
        marker: str,
        rules: tuple[tuple[str, str], ...] = (),
        ignored: tuple[tuple[str, str], ...] = (),
        norm_counters: bool = False,
        values: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (),
        joins: tuple[Join, ...] = (),
        derived: tuple[Derived, ...] = ()
    ) -> None:
        self.marker = marker
        self.joins = joins
        self.derived = derived + (NORM_COUNTERS, ) * norm_counters
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

    def join(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state dict with joined tensors, under official names.

        Raises:
            ValueError: if a part is missing.
        """
        out = dict(state_dict)
        for pattern, parts, whole in self.joins:
            for name in state_dict:
                match = re.fullmatch(pattern, name)
                if match is None or match[1] != parts[0]:
                    continue
                before, after = name[:match.start(1)], name[match.end(1):]
                names = [before + part + after for part in parts]
                missing = [n for n in names if n not in out]
                if missing:
                    raise ValueError(f'There is a tensor {name!r} but no '
                                     f'{missing[0]!r}; the file is not whole.')
                out[before + whole + after] = torch.cat(
                    [out.pop(n) for n in names])
        return out

    def added(self, state_dict: Mapping[str, Tensor]
              ) -> dict[str, dict[str, Tensor]]:
        """What a state dict under the names here lacks, by what it is."""
        found: dict[str, dict[str, Tensor]] = {}
        for pattern, name, function, what in self.derived:
            for own, value in state_dict.items():
                target, matches = re.subn(pattern, name, own, count=1)
                if matches and target not in state_dict:
                    found.setdefault(what, {})[target] = function(value)
        return found

    def convert(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename a whole state dict and lay its tensors out as here.

        Raises:
            ValueError: if two tensors would get the same name, or a part of
                one is missing.
        """
        out: dict[str, Tensor] = {}
        for key, value in self.join(state_dict).items():
            if self.why_ignored(key) is not None:
                continue
            name = self.rename(key)
            if name in out:
                raise ValueError(f'Two official tensors map to {name!r}; the '
                                 'checkpoint is not of this system.')
            out[name] = self.revalue(key, value)
        for tensors in self.added(out).values():
            out.update(tensors)
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
