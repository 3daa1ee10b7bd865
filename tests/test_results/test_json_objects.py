"""Jsons that are read object by object: the same content and sentences."""
import json

import numpy as np
import pytest

from mmvis_memcnp.results import compiled
from mmvis_memcnp.results.json_objects import find_objects, parse_list
from mmvis_memcnp.results.json_rules import parse_json

built = pytest.mark.skipif(
    bool(compiled.missing()), reason='the compiled functions are not built')


@pytest.fixture
def places(tmp_path):
    """Where the objects of a text lie, by the key id; None."""
    def find(text):
        path = tmp_path / 'list.json'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with find_objects(path, 'id') as objects:
            return None if objects is None else objects.places.tolist()
    return find


@built
@pytest.mark.parametrize('text, expected', [
    ('[{"id":1}]', [[1, 9, 1]]),
    (' [ {"id" : -20 } ,\r\n\t{"id":3} ] ', [[3, 16, -20], [21, 29, 3]]),
    ('[{"a":{"id":5},"id":1}]', [[1, 22, 1]]),  # of the object itself
    ('[{"a":[{"id":5}],"id":1}]', [[1, 24, 1]]),
    ('[{"id":1,"id":2}]', [[1, 16, 2]]),  # the last one counts
    ('[{"a":"id","id":1}]', [[1, 18, 1]]),  # a value
    ('[{"ids":3,"i":4,"id":1}]', [[1, 23, 1]]),  # other keys
    (r'[{"a":"}\"]\\","id":1}]', [[1, 22, 1]]),  # brackets of a string
    ('[{"id":123456789012345678}]', [[1, 26, 123456789012345678]]),
    # -- unusual, or no list of objects
    ('[{"id":1234567890123456789}]', None),  # 19 digits
    ('[{"id":1.0}]', None),
    ('[{"id":1e3}]', None),
    ('[{"id":"1"}]', None),
    ('[{"id":null}]', None),
    ('[{"id":-}]', None),
    ('[{"id":}]', None),
    ('[{"a":1}]', None),
    ('[{"a":{"id":1}}]', None),
    (r'[{"i\u0064":1}]', None),
    ('[]', None),
    ('[7]', None),
    ('{"id":1}', None),
    ('[{"id":1},]', None),
    ('[{"id":1} {"id":2}]', None),
    ('[{"id":1}]]', None),
    ('[{"id":1}', None),
    ('[{"id":1', None),
    ('[{"id":1},', None),
    ('[{"id', None),
    ('[{"id"', None),
    ('[{"id":', None),
    ('[{"id":1}, "', None),
    (b'\xef\xbb\xbf[{"id":1}]', None),  # a byte order mark
    ('', None),
    (' ', None),
])
def test_places(places, text, expected):
    assert places(text) == expected


@built
def test_more_objects_than_there_was_room_for(places):
    text = json.dumps([dict(id=i) for i in range(40_000)])
    found = places(text)
    assert [n for *_, n in found] == list(range(40_000))
    assert all(text[a] == '{' and text[b - 1] == '}' for a, b, _ in found)


def outcome(read, *args):
    try:
        return repr(read(*args))  # NaN is not equal to itself
    except ValueError as error:
        return str(error)


def test_the_same_of_changed_files(tmp_path):
    """Bytes changed, taken out and put in."""
    rng = np.random.default_rng(0)
    good = json.dumps([dict(id=i, name='a"\\µ', masks=[
        None, dict(size=[3, 4], counts='P2"}')], score=.5 - i)
        for i in range(3)]).encode()
    path = tmp_path / 'list.json'
    kinds = b'{}[]",:\\ \n0-.eNd\xff'
    read = found = 0
    for _ in range(2000):
        text = bytearray(good)
        for _ in range(rng.integers(1, 3)):
            where = int(rng.integers(len(text)))
            some = bytes([kinds[rng.integers(len(kinds))]])
            text[where:where + int(rng.integers(2))] = some * int(
                rng.integers(3) > 0)
        path.write_bytes(text)
        with find_objects(path, 'id') as objects:
            found += objects is not None
        expected = outcome(parse_json, path)
        assert outcome(parse_list, path, 'id') == expected
        read += expected.startswith('[')
    assert 300 < read < 1700
    assert found > 700 or compiled.missing()
