"""What a study is: the yaml, the runs that follow from it, their configs.

A yaml holds

``name``: names the files; letters, digits, ``_`` and ``-``.
``data``: ``train`` and ``test``, a level of MovingShapes or a list of them;
    ``train_videos``, ``train_frames``, ``val_videos``, ``val_frames``,
    ``size`` (HEIGHTxWIDTH), where they differ from :data:`SIZES`. A level to
    test on may name its own number of videos: ``easy-250`` are 250 of easy.
    More videos take the chance of the test set out of differences; the
    trainings stay the same.
``max_iters`` or ``stop_at``: a number of iterations, or neither.
    ``max_iters: N`` is a complete training of N iterations: the learning rate
    schedule of the config is shortened to end at N. ``stop_at: N`` leaves the
    schedule as long as it is and stops after N iterations of it: the first
    part of a longer training, whose learning rate has not come down yet.
    Neither: the config as it is.
``val_interval``: also validate every so many iterations, for the curves; by
    default never, since every model is tested at its end.
``seeds``: a list of numbers.
``baseline``: the row that all others are compared with, seed by seed.
``runs``: name of the row to ``config``, a path from the repository's root;
    ``options``, dotted key to value, as ``--cfg-options`` but any yaml;
    ``baseline``, in place of that of the study; ``start``, a row above whose
    training of the same level and seed it starts from, or a checkpoint, a path
    from the repository's root, in place of the config's ``load_from``; and
    ``train: false``: these weights are tested by this config as they are.
"""
from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from mmvis_memcnp.cli.preflight import apply_overrides, load_config
from mmvis_memcnp.datasets.moving_shapes.levels import LEVELS
from mmvis_memcnp.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SIZES = dict(train_videos=600, train_frames=16, val_videos=50, val_frames=20,
             size='128x192')
_KEYS = {'name', 'data', 'max_iters', 'stop_at', 'val_interval', 'seeds',
         'baseline', 'runs'}
# Keys of configs that change how long a training takes, nothing else.
_SPEED_ALONE = {'keep_freed_memory', 'fused'}
_ROW_KEYS = {'config', 'options', 'baseline', 'start', 'train'}


@dataclass(frozen=True)
class Row:
    """One line of the study's table: a config with options.

    Attributes:
        name (str): Of the row.
        config (str): Path from the repository's root.
        options (dict): Dotted key to value.
        baseline (str | None): Name of the row to compare with.
        start (str | None): Name of the row, or path of the checkpoint from
            the repository's root, whose weights it starts from.
        train (bool): Whether it is trained, not only tested.
    """
    name: str
    config: str
    options: dict[str, Any]
    baseline: str | None
    start: str | None = None
    train: bool = True

    @property
    def text(self) -> str:
        """The options on one line, as json."""
        return json.dumps(self.options) if self.options else ''


@dataclass(frozen=True)
class Study:
    """A yaml, checked; the attributes are its keys.

    Attributes:
        length (tuple[str, int] | None): ``max_iters`` or ``stop_at``.
    """
    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    sizes: dict[str, Any]
    length: tuple[str, int] | None
    val_interval: int | None
    seeds: tuple[int, ...]
    rows: dict[str, Row]


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        row (Row): What is trained.
        trained_on (str): Level.
        seed (int): Of everything random.
        cfg (Config): Complete but for the place of the data.
        iters (int): Iterations that are trained.
        schedule (int): Iterations that the learning rate schedule is made
            for.
        settings (dict): What defines the run, without paths of this machine.
        start (Run | None): The run whose weights it starts from.
    """
    row: Row
    trained_on: str
    seed: int
    cfg: Config
    iters: int
    schedule: int
    settings: dict[str, Any]
    start: Run | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return f'{self.row.name}, {self.trained_on}, seed {self.seed}'

    @property
    def digest(self) -> str:
        """Eight characters that tell settings apart."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha1(text.encode()).hexdigest()[:8]

    @property
    def folder(self) -> str:
        """See :func:`folder_name`."""
        return folder_name(self.row.config, self.trained_on, self.digest,
                           self.seed)


def folder_name(config: str, trained_on: str, settings: str,
                seed: int | str) -> str:
    """Folder of a training: the same for all rows and studies that share it.

    Args:
        config (str): Path of the config.
        trained_on (str): Level.
        settings (str): :attr:`Run.digest`.
        seed (int | str): Of everything random.
    """
    return f'{Path(config).stem}_{trained_on}_{settings}_s{seed}'


def split_level(name: str) -> tuple[str, int | None]:
    """A level to test on: ``easy-250`` is easy with 250 videos.

    Args:
        name (str): From the yaml.

    Returns:
        tuple[str, int | None]: The level, and its videos if it names them.
    """
    found = re.fullmatch(r'(.+)-([1-9]\d*)', name)
    return (found[1], int(found[2])) if found else (name, None)


def _names(value: Any) -> tuple[str, ...]:
    return (value, ) if isinstance(value, str) else tuple(value or ())


def _check(right: bool, path: Path, sentence: str) -> None:
    if not right:
        raise UserError(f'{path}: {sentence}')


def read_study(path: Path) -> Study:
    """Read a yaml.

    Args:
        path (Path): The yaml.

    Raises:
        UserError: If it is missing, no yaml, or a key is unknown or wrong.
    """
    try:
        found = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f'There is no study at {path}.') from error
    except yaml.YAMLError as error:
        raise UserError(f'{path} is no yaml: {" ".join(str(error).split())}'
                        ) from error
    _check(isinstance(found, dict), path, 'a mapping of keys is wanted.')
    unknown = sorted(found.keys() - _KEYS)
    _check(not unknown, path, f'{unknown} is unknown; the keys are '
           f'{", ".join(sorted(_KEYS))}.')
    name = str(found.get('name', ''))
    _check(bool(re.fullmatch(r'[A-Za-z0-9_-]+', name)), path,
           'name must be letters, digits, _ and -.')
    _check(not ('max_iters' in found and 'stop_at' in found), path,
           'max_iters and stop_at exclude each other: give one.')
    length = next(((key, found[key]) for key in ('max_iters', 'stop_at')
                   if key in found), None)
    for key in ('max_iters', 'stop_at', 'val_interval'):
        value = found.get(key, 1)
        _check(type(value) is int and value > 0, path,
               f'{key} must be a whole number of iterations, got {value!r}.')
    seeds = found.get('seeds')
    _check(isinstance(seeds, list) and bool(seeds) and all(
        type(s) is int and s >= 0 for s in seeds), path,
        'seeds must be a list of numbers from 0 on.')
    data = dict(found.get('data') or {})
    train, test = _names(data.pop('train', 'easy')), _names(
        data.pop('test', ['easy', 'hard']))
    wrong = sorted({*train, *(split_level(level)[0] for level in test)
                    } - set(LEVELS))
    _check(bool(train and test and not wrong), path,
           f'data.train and data.test are of {", ".join(LEVELS)}; a level of '
           'data.test may end with a number of videos, as easy-250.')
    unknown = sorted(data.keys() - SIZES.keys())
    _check(not unknown, path, f'data has no {unknown}; sizes are '
           f'{", ".join(SIZES)}.')
    return Study(name, train, test, {**SIZES, **data}, length,
                 found.get('val_interval'), tuple(seeds),
                 dict(_rows(found, path)))


def _rows(found: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Row]]:
    runs = found.get('runs')
    _check(isinstance(runs, dict) and bool(runs), path,
           'runs must map the name of each row to its config.')
    assert isinstance(runs, dict)
    for name, value in runs.items():
        _check(isinstance(name, str) and bool(
            re.fullmatch(r'[A-Za-z0-9_.+-]+', name)), path,
            f'the row {name!r} must have a name of letters, digits and '
            '_ . + -')
        _check(isinstance(value, dict) and 'config' in value
               and value.keys() <= _ROW_KEYS, path,
               f'the row {name} must have config and may have options, '
               'baseline, start and train, nothing else.')
        baseline = value.get('baseline', found.get('baseline'))
        _check(baseline is None or baseline in runs, path,
               f'the baseline {baseline!r} of {name} is no row.')
        _check((ROOT / value['config']).is_file(), path,
               f'there is no config at {value["config"]}.')
        start, train = value.get('start'), value.get('train', True)
        above = list(runs)[:list(runs).index(name)]
        _check(start is None or (start in above and runs[start].get(
            'train', True)) or (start not in runs and (ROOT / start).is_file()
                                ), path,
               f'the start {start!r} of {name} is neither a row above that is '
               'trained nor a checkpoint.')
        _check(type(train) is bool and (train or start is not None), path,
               f'the row {name} must have train: true, or train: false and a '
               'start.')
        yield name, Row(name, value['config'],
                        dict(value.get('options') or {}),
                        baseline if baseline != name else None, start, train)


def plan(study: Study) -> Iterator[Run]:
    """The runs of a study, all rows of a seed before those of the next.

    Args:
        study (Study): From :func:`read_study`.

    Raises:
        UserError: If a config cannot be read, is trained by epochs or too
            short for the study.
    """
    cfgs = {name: _config(study, row) for name, row in study.rows.items()}
    for seed in study.seeds:
        for trained_on in study.train:
            runs: dict[str, Run] = {}
            for name, row in study.rows.items():
                cfg, iters, schedule = cfgs[name]
                settings = dict(
                    cfg=_portable(cfg.to_dict()), data=study.sizes,
                    trained_on=trained_on)
                start = runs.get(row.start or '')
                if start is not None:
                    settings['start'] = start.settings
                runs[name] = Run(row, trained_on, seed, cfg, iters, schedule,
                                 settings, start)
                yield runs[name]


def _config(study: Study, row: Row) -> tuple[Config, int, int]:
    """Config of a row, its iterations and those of its schedule."""
    cfg = load_config(str(ROOT / row.config))
    full = (cfg.get('train_cfg') or {}).get('max_iters')
    if full is None:
        raise UserError(f'{row.config} has no train_cfg.max_iters: a study '
                        'takes configs that are trained by iterations.')
    kind, iters = study.length or ('stop_at', full)
    if iters > full and kind == 'stop_at':
        raise UserError(f'{row.config} has a schedule of {full} iterations, '
                        f'so that it cannot stop at {iters}: give fewer, or '
                        'max_iters for a longer schedule.')
    if kind == 'max_iters':
        _fit_schedule(cfg, full, iters, row.config)
    cfg.train_cfg.max_iters = iters
    # Tested at the end by the study itself.
    cfg.train_cfg.val_begin = 1 if study.val_interval else iters + 1
    cfg.train_cfg.val_interval = study.val_interval or iters
    apply_overrides(cfg, copy.deepcopy(row.options))
    if row.start is not None:
        cfg.load_from = None if row.start in study.rows else str(
            ROOT / row.start)
    if not row.train:
        return cfg, 0, 0
    return cfg, int(cfg.train_cfg.max_iters), (
        iters if kind == 'max_iters' else full)


def _fit_schedule(cfg: Config, full: int, iters: int, name: str) -> None:
    """Let what ends with the training end after another number."""
    schedulers = cfg.get('param_scheduler') or []
    for part in [schedulers] if isinstance(schedulers, dict) else schedulers:
        if part.get('end') == full:
            part['end'] = iters
        if 'T_max' in part:
            part['T_max'] += iters - full
        if 'milestones' in part:
            part['milestones'] = [
                round(m * iters / full) for m in part['milestones']]
        if not part.get('begin', 0) < part.get('end', iters) <= iters:
            raise UserError(
                f'{name}: {iters} iterations are too few for '
                f'{part.get("type")}, which lasts from {part.get("begin", 0)}'
                f' to {part.get("end")}: take more, or stop_at.')


def _portable(value: Any) -> Any:
    """As json would give it back, with the repository's folder as '.', without
    what changes the time alone."""
    if isinstance(value, Mapping):
        return {str(k): _portable(v) for k, v in value.items()
                if k not in _SPEED_ALONE}
    if isinstance(value, (list, tuple)):
        return [_portable(v) for v in value]
    if isinstance(value, str):
        return value.replace(str(ROOT), '.')
    return value if isinstance(value, (int, float, bool)) or value is None \
        else repr(value)


def first_difference(old: Any, new: Any, at: str = '') -> str | None:
    """Where two nested settings differ first, in words.

    Args:
        old: Of mappings, lists and plain values.
        new: To compare with.
        at (str): Dotted key of both. Defaults to ''.

    Returns:
        str | None: ``key: old, now new``; None if they are the same.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(k for k in old if k not in new)]:
            found = first_difference(old.get(key), new.get(key),
                                     f'{at}.{key}'.lstrip('.'))
            if found:
                return found
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(
            new):
        return next(filter(None, (
            first_difference(a, b, f'{at}.{i}')
            for i, (a, b) in enumerate(zip(old, new, strict=True)))), None)
    if old == new:
        return None
    return '{}: {}, now {}'.format(at.removeprefix('cfg.'), *(
        text if len(text) < 80 else f'{text[:77]}...'
        for text in (repr(old), repr(new))))
