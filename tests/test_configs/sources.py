"""What configs/<system>/sources.yml says of each config: its format.

A file has these parts; configs/_base_/sources.yml has ``settings`` and
``no_numbers`` that hold in every folder.

``sources``: what the short names of the sources stand for.
``configs``: patterns of the configs whose values ``settings`` gives, all.
``words``: word to patterns of configs; a value may hold for some words alone.
``settings``: dotted key to ``value``, ``source`` and perhaps ``what`` (the
    name of it in the paper). ``value`` is the value for all of the configs, or
    a mapping of words to values: ``MemCNP OVIS`` are the configs that are
    both.
``places``: first word of such a key to the places that it stands for; a config
    has at least one of them.
``no_numbers``: patterns of keys that no source gives, and why.
``variants``: configs that are another one (``of``) with ``changes``: key to
    value, or to ``value``, the value that it ``was``, and ``why``. ``source``
    says where from, ``ap`` is the AP that the paper prints for it.
``own``: patterns of configs whose numbers are this project's, and why.
``parameters``: config to the numbers of its parameters; ``paper`` has those
    that the paper prints, in millions, ``differs`` ours where they are others.
"""
import inspect
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from mmengine.runner import Runner

from .trees import ROOT, leaves

CONFIGS = ROOT / 'configs'
#: The keys of a config that the training and the tests read; others are
#: helpers, from which these are made.
READ = (set(inspect.signature(Runner.__init__).parameters)
        | {'custom_imports', 'find_unused_parameters'}) - {'self', 'cfg'}


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML keeps the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        twice = {k for k in keys if keys.count(k) > 1}
        if twice:
            raise ValueError(f'{sorted(twice)} stands twice in a mapping')
        return super().construct_mapping(node, deep)


@cache
def read(folder: Path) -> dict:
    """The sources of a folder, with those of all folders."""
    with open(folder / 'sources.yml') as file:
        own = yaml.load(file, _UniqueKeys)
    with open(CONFIGS / '_base_/sources.yml') as file:
        shared = yaml.load(file, _UniqueKeys)
    twice = own['settings'].keys() & shared['settings'].keys()
    assert not twice, f'{sorted(twice)} stand in _base_/sources.yml too'
    return own | dict(
        settings=own['settings'] | shared['settings'],
        no_numbers=own.get('no_numbers', {}) | shared['no_numbers'])


def matches(name: str, patterns: str | list[str]) -> bool:
    """Whether a name fits one of the patterns."""
    if isinstance(patterns, str):
        patterns = [patterns]
    return any(fnmatchcase(name, p) for p in patterns)


def expand(key: str, places: dict) -> list[str]:
    """The keys of a config that a key of the settings stands for."""
    first, _, rest = key.partition('.')
    return [f'{p}.{rest}'.rstrip('.') for p in places.get(first, [first])]


def values_for(name: str, setting: dict, words: dict) -> list:
    """The values that a setting gives to a config; more than one is wrong."""
    value = setting['value']
    if not isinstance(value, dict):
        return [value]
    return [v for asked, v in value.items()
            if all(matches(name, words[w]) for w in asked.split())]


def numbers(config: dict, no_numbers: dict) -> Iterator[tuple[str, Any]]:
    """Key and value of all in a config that must have a source.

    Validation is left out where it is the test.
    """
    for key, value in leaves({k: v for k, v in config.items() if k in READ}):
        test = re.sub('^val_', 'test_', key)
        if test != key and config.get('val_dataloader') == config.get(
                'test_dataloader') and not key.startswith('val_cfg'):
            continue
        if not matches(key, list(no_numbers)):
            yield key, value


def problems(name: str, config: dict, sources: dict) -> list[str]:
    """How a config and its sources differ, in sentences; none is right."""
    found, said = [], {}
    flat = dict(leaves(config))
    for key, setting in sources['settings'].items():
        values = values_for(name, setting, sources['words'])
        keys = [k for k in expand(key, sources.get('places', {})) if k in flat]
        if len(values) > 1:
            found.append(f'{key} has {len(values)} values')
        elif values and not keys:
            found.append(f'{key} is no key of the config')
        for k in keys if values else []:
            if k in said:
                found.append(f'{k} stands twice')
            said[k] = values[0]
            if flat[k] != values[0] or type(flat[k]) is not type(values[0]):
                found.append(f'{k} is {flat[k]}, not {values[0]}')
    found += [f'{key} = {value} has no source'
              for key, value in numbers(config, sources['no_numbers'])
              if key not in said]
    return found
