"""Is every array of a fixture's files accounted for by its ``run`` block?"""
from typing import Any, Dict, Iterator, List, Set, Tuple

from tests.parity.entries import expand
from tests.parity.fixture import Fixture

_SUFFIXES = ('.npz', '.npy', '.json')


def specs(fixture: Fixture) -> Iterator[Dict[str, Any]]:
    """Every manifest entry that names stored arrays."""
    run = fixture.run
    yield from run['arrays']
    yield from run['info']
    for item in run['inputs']:
        yield from item.get('npz_inputs', {}).values()
        yield from (item['weights'] or {}).get('replace', {}).values()
    targets = run['targets']
    for part in (targets, *targets.get('parts', {}).values()):
        yield from part.get('arrays', {}).values()


def problems(fixture: Fixture) -> List[str]:
    """Missing files and arrays, and stored arrays that nothing names.

    In a ``.json`` file a value must be named if one beside it is (remarks
    that stand apart from the compared values are free).
    """
    found: List[str] = []
    named: Set[Tuple[str, str]] = set()
    inputs = {
        name
        for item in fixture.run['inputs']
        for name in item.get('files', {}).values()
    }
    for spec in specs(fixture):
        named |= {(e.file, e.key) for e in expand(spec)}
    files = {file for file, _ in named}
    for file in sorted(files | inputs):
        if not (fixture.folder / file).is_file():
            found.append(f'{file}: the file is missing')
    missing = {line.split(':')[0] for line in found}
    for file, key in sorted(named):
        if file not in missing and not _exists(fixture, file, key):
            found.append(f'{file}:{key}: not in the file')
    known = {(e.file, e.key)
             for spec in fixture.run['arrays'] for e in expand(spec)}
    for quirk in fixture.run['quirk_arrays']:
        for e in expand(quirk):
            if (e.file, e.key) not in known:
                found.append(f'{e.file}:{e.key}: quirk_arrays names an array '
                             'that "arrays" does not describe')
    for path in sorted(fixture.folder.iterdir()):
        name = path.name
        if name == 'manifest.json' or path.suffix not in _SUFFIXES:
            continue
        if name not in files | inputs:
            found.append(f'{name}: nothing describes this file')
        elif name in files:
            keys = {key for file, key in named if file == name}
            found += [
                f'{name}:{key}: nothing describes this array'
                for key in _unnamed(fixture, name, keys)
            ]
    return found


def _exists(fixture: Fixture, file: str, key: str) -> bool:
    try:
        fixture.value(file, key)
    except (KeyError, TypeError):
        return False
    return True


def _unnamed(fixture: Fixture, file: str, keys: Set[str]) -> List[str]:
    if file.endswith('.npz'):
        return sorted(set(fixture.npz(file)) - keys)
    if '' in keys:
        return []
    parents = {key.rpartition('/')[0] for key in keys}
    return [
        key for parent in sorted(parents)
        for key in (f'{parent}/{leaf}' if parent else leaf
                    for leaf in fixture.value(file, parent))
        if key not in keys and not any(k.startswith(key + '/') for k in keys)
    ]
