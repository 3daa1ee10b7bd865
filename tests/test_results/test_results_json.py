import io
import json
from types import SimpleNamespace

import pytest

from mmvis_memcnp.results.results_json import result_entry, write_entries


@pytest.mark.parametrize('pieces, text', [
    ([], '[\n]\n'),  # nothing was found
    ([[b'1']], '[\n1\n]\n'),
    ([[b'1'], [b'2'], [b'3']], '[\n1,\n2,\n3\n]\n'),
    ([[b'1', b'2'], [b'3', b'', b'4']], '[\n12,\n34\n]\n'),  # in blocks
    ([[], [b'1'], [b''], [b'2'], []], '[\n1,\n2\n]\n'),  # videos without
])
def test_layout(pieces, text):
    file = io.BytesIO()
    write_entries(file, pieces)
    assert file.getvalue().decode() == text
    json.loads(text)


def test_an_entry():
    """Codes get str counts; ids and scores are numbers that json knows."""
    track = SimpleNamespace(score=.5, segmentations=[
        None, dict(size=[2, 3], counts=b'12'),
        dict(size=[2, 3], counts='34')])
    assert json.loads(json.dumps(result_entry(7, 20, track))) == dict(
        video_id=7, category_id=20, score=.5, segmentations=[
            None, dict(size=[2, 3], counts='12'),
            dict(size=[2, 3], counts='34')])
