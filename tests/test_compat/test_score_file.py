"""Scores of a distributed test are written once."""
import mmengine.dist.utils as dist_utils
import pytest
from mmengine.hooks import logger_hook

from mmvis_memcnp.compat import score_file


@pytest.mark.parametrize('rank, written', [(0, True), (1, False)])
def test_the_first_process_writes_alone(monkeypatch, tmp_path, rank, written):
    monkeypatch.setattr(dist_utils, 'get_rank', lambda group=None: rank)
    logger_hook.dump(dict(AP=1.), str(tmp_path / 'scores.json'))
    assert (tmp_path / 'scores.json').is_file() == written


def test_installed_once():
    before = logger_hook.dump
    score_file.install()
    assert logger_hook.dump is before
