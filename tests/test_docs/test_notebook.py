"""The notebook runs from top to bottom."""
import contextlib
import io
import json
import os
import time

import matplotlib
import pytest

from .pages import ROOT

NOTEBOOK = ROOT / 'demo/tutorial.ipynb'


def cells(kind: str) -> list[str]:
    """Texts of the cells of a kind."""
    found = json.loads(NOTEBOOK.read_text())['cells']
    return [''.join(c['source']) for c in found if c['cell_type'] == kind]


def test_cells_run_in_half_a_minute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it needs nothing of where it is started
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setattr('tempfile.tempdir', None)
    monkeypatch.setattr('matplotlib.pyplot.show', lambda: None)
    matplotlib.use('agg')
    names: dict = {}
    start, before = time.process_time(), os.times()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for number, text in enumerate(cells('code')):
            exec(compile(text, f'cell {number}', 'exec'), names)
    spent = time.process_time() - start + os.times(
    ).children_user - before.children_user
    assert spent < 30
    said = printed.getvalue()
    assert 'circle' in said and 'sides within' in said
    assert '1 video, ' in said
    page = names['page'].read_text()
    assert 'data:image/jpeg' in page and names['video'].num_frames == 12
    assert len(names['video'].tracks) >= 3


def test_no_output_is_stored():
    """A notebook that was run in an editor would change in every commit."""
    for cell in json.loads(NOTEBOOK.read_text())['cells']:
        assert cell.get('outputs', []) == []
        assert cell.get('execution_count') is None


@pytest.mark.parametrize('text', cells('markdown'))
def test_links_of_the_notebook(text):
    from .test_pages import LINK
    for link in LINK.findall(text):
        if not link.startswith('http'):
            path = (NOTEBOOK.parent / link.partition('#')[0])
            assert path.exists(), link
