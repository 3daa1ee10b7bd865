"""A session is saved, and goes on as if nothing had been."""
import copy
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mmvis_memcnp.errors import OutputError, SavedFileError
from mmvis_memcnp.models.vis.saved_session import (
    restore_session,
    save_session,
    weights_digest,
)
from mmvis_memcnp.results import FileSink, MemorySink
from tests.fakes.systems import SYSTEMS, build
from tests.fakes.tiny_sipmask import batch, video

ROOT = Path(__file__).resolve().parents[3]
LENGTH, AT = 7, 4


def frames_of(model):
    """Frames and their metas."""
    inputs, (sample, ) = batch(model, video(LENGTH), training=False)
    return inputs[0], [f.metainfo for f in sample.video_data_samples]


def follow(session, frames, metas):
    return [r for t in range(len(frames))
            for r in session.step(frames[t:t + 1], metas[t:t + 1])]


def seen(results):
    """What the user gets of each frame, to the last bit, as json has it."""
    return [[r.frame_id, r.instances_id.tolist(), r.labels.tolist(),
             r.scores.tolist(), r.bboxes.tolist(),
             [[*m['size'], bytes(m['counts']).decode()] for m in r.masks],
             r.box_sigmas.tolist() if 'box_sigmas' in r else None]
            for r in results]


def go_on(model, path, sink=None):
    """Restore a session and follow its video to the end."""
    frames, metas = frames_of(model)
    session, extra = restore_session(model, path, sink)
    rest = follow(session, frames[AT:], metas[AT:]) + session.flush()
    return dict(rest=seen(rest), extra=extra,
                tracks=session.finish().to_ytvis(1, [1, 2, 3]))


def save_in_the_middle(name, path, sink=None):
    """Follow some frames, save, and follow the others; what came of all."""
    model = build(name)
    frames, metas = frames_of(model)
    session = model.session(dict(video_length=LENGTH), sink)
    begun = follow(session, frames[:AT], metas[:AT])
    save_session(session, path, extra=dict(size=(3, 4)))
    rest = follow(session, frames[AT:], metas[AT:]) + session.flush()
    whole = model.session(dict(video_length=LENGTH))
    once = follow(whole, frames, metas) + whole.flush()
    # Saving disturbs nothing.
    assert seen(begun + rest) == seen(once)
    tracks = whole.finish().to_ytvis(1, [1, 2, 3])
    assert session.finish().to_ytvis(1, [1, 2, 3]) == tracks != []
    return dict(rest=seen(rest), extra=dict(size=(3, 4)), tracks=tracks)


def main(folder):
    """In another process: all sessions of a folder, as json."""
    found = {}
    for path in sorted(Path(folder).glob('*.session')):
        name = list(SYSTEMS)[int(path.stem)]
        found[name] = go_on(build(name), path)
    print(json.dumps(found))


def test_every_system_goes_on_in_another_process(tmp_path):
    expected = {name: save_in_the_middle(name, tmp_path / f'{i}.session')
                for i, name in enumerate(SYSTEMS)}
    done = subprocess.run(
        [sys.executable, '-c', 'import sys\nfrom tests.test_models.test_vis'
         '.test_saved_session import main\nmain(sys.argv[1])',
         str(tmp_path)], capture_output=True, text=True, cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS=str(
            torch.get_num_threads())))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    expected = json.loads(json.dumps(expected))
    assert found.keys() == expected.keys()
    for name in SYSTEMS:
        assert found[name] == expected[name], name


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A saved session of a system with a filter, and what was to come."""
    path = tmp_path_factory.mktemp('saved') / 'idol.session'
    expected = save_in_the_middle('idol-memcnp', path, FileSink())
    return path, expected


@pytest.mark.parametrize('sink', [MemorySink, FileSink])
def test_results_so_far_go_to_any_sink(saved, sink):
    path, expected = saved
    assert go_on(build('idol-memcnp'), path, sink()) == expected


def test_a_session_may_be_restored_again_and_saved_again(saved, tmp_path):
    path, expected = saved
    model = build('idol-memcnp')
    frames, metas = frames_of(model)
    session, extra = restore_session(model, path)
    other, _ = restore_session(model, path)
    follow(other, frames[:2].flip(3), metas[:2])  # does not disturb the first
    again = tmp_path / 'again'
    save_session(session, again, extra=extra)
    assert go_on(model, again) == expected
    with pytest.raises(OutputError, match='exists'):
        save_session(session, again)
    follow(session, frames[AT:AT + 1], metas[AT:AT + 1])
    save_session(session, again, overwrite=True)
    assert len(restore_session(model, again)[0].store) == AT + 1


def test_before_the_first_frame_and_after_the_last(tmp_path):
    model = build('idol')
    frames, metas = frames_of(model)
    session = model.session()
    save_session(session, tmp_path / 'first')
    expected = seen(follow(session, frames, metas))
    fresh, _ = restore_session(model, tmp_path / 'first')
    assert seen(follow(fresh, frames, metas)) == expected
    save_session(session, tmp_path / 'last')
    ended = session.finish()
    over, _ = restore_session(model, tmp_path / 'last')
    assert over.finish().to_ytvis(1, [1, 2, 3]) == \
        ended.to_ytvis(1, [1, 2, 3]) != []
    save_session(session, tmp_path / 'ended')
    over, _ = restore_session(model, tmp_path / 'ended')
    with pytest.raises(ValueError, match='has ended'):
        over.step(frames[:1], metas[:1])


def test_mixed_precision_is_kept(tmp_path):
    model = build('ifr in windows')
    frames, metas = frames_of(model)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        session = model.session()
        follow(session, frames[:AT], metas[:AT])
        logits = session.state.matching.windows[-1].instances.mask_logits
        assert logits.dtype == torch.bfloat16
        save_session(session, tmp_path / 'half')
        other, _ = restore_session(model, tmp_path / 'half')
        found = other.state.matching.windows[-1].instances.mask_logits
        assert found.dtype == logits.dtype and torch.equal(found, logits)
        assert seen(follow(other, frames[AT:], metas[AT:])) == \
            seen(follow(session, frames[AT:], metas[AT:]))


def refused(model, path, message, error=SavedFileError):
    with pytest.raises(error, match=message) as info:
        restore_session(model, path)
    assert '\n' not in str(info.value)


def test_another_models_session_is_refused(saved):
    path, _ = saved
    refused(build('sipmask'), path, 'a session of IDOL, not of SipMaskVIS')
    model = build('idol-memcnp')
    next(model.parameters()).data[..., 0] += 1e-6
    refused(model, path, 'other weights of IDOL')
    refused(build('idol'), path, 'other weights of IDOL')
    model = build('idol-memcnp')
    model.ranking = dict(type='MajorityLabel')
    refused(model, path, 'ranking MeanClass.*but .*ranking MajorityLabel')
    model = build('idol-memcnp')
    model.track_filter = None
    refused(model, path, 'own config')


def rewrite(path, target, change):
    """A saved session with another json."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, 'w') as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == 'values.json':
                data = json.dumps(change(json.loads(data))).encode()
            new.writestr(info.filename, data)
    return target


def test_another_versions_session_is_refused(saved, tmp_path):
    path, _ = saved
    model = build('idol-memcnp')

    def later(tree):
        return dict(tree, format=2, version='9.9')

    def with_a_field(tree):
        tree['state']['fields']['more'] = 1
        return dict(tree, version='9.9')

    def with_a_class(tree):
        tree['state'] = dict(made='os.system', fields=dict(command='true'))
        return dict(tree, version='9.9')

    def with_a_sum(tree):
        tree['ranking']['dict'].append(['_more', 1])
        return dict(tree, version='9.9')

    for change in (later, with_a_field, with_a_class, with_a_sum):
        refused(model, rewrite(path, tmp_path / change.__name__, change),
                'saved by mmvis_memcnp 9.9, whose sessions .* does not read')


def test_nothing_of_a_file_is_executed(tmp_path, monkeypatch):
    """Neither pickle nor eval nor an import is ever asked."""
    import builtins
    import importlib
    import pickle
    path = tmp_path / 's'
    model = build('ifr in windows')
    frames, metas = frames_of(model)
    session = model.session()
    follow(session, frames[:AT], metas[:AT])
    save_session(session, path)
    for owner, name in ((pickle, 'loads'), (pickle, 'load'),
                        (pickle, 'Unpickler'), (builtins, 'eval'),
                        (builtins, 'exec'), (importlib, 'import_module')):
        monkeypatch.setattr(owner, name, None)
    other, _ = restore_session(model, path)
    assert len(other.state.held) == len(session.state.held) > 0


def test_damaged_files_get_one_sentence(saved, tmp_path):
    """Cut off, or a byte changed anywhere: refused, or as it was."""
    path, expected = saved
    data = path.read_bytes()
    model = build('idol-memcnp')
    broken = tmp_path / 'broken'
    for share in (0., .3, .99):
        broken.write_bytes(data[:int(len(data) * share)])
        refused(model, broken, 'damaged')
    broken.write_bytes(b'no zip at all')
    refused(model, broken, 'damaged, or no saved session')
    with zipfile.ZipFile(broken, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('values.json', '{}')
    refused(model, broken, 'damaged')
    refused(model, tmp_path / 'none', 'no saved session at',
            FileNotFoundError)
    rng = np.random.default_rng(0)
    told = 0
    for at in rng.integers(0, len(data), 60):
        changed = bytearray(data)
        changed[at] ^= int(rng.integers(1, 256))
        broken.write_bytes(changed)
        try:
            restore_session(model, broken)
        except SavedFileError as error:
            assert '\n' not in str(error)
            told += 1
    assert told > 30


@pytest.mark.parametrize('wrong', [
    dict(state=3), dict(state=dict(list=3)), dict(state=dict(wat=[])),
    dict(state=dict(tensor=dict(number=0, order=[0], shape=[-1],
                                dtype='float32'))),
    dict(state=dict(tensor=dict(number=9999, order=[], shape=[],
                                dtype='float32'))),
    dict(ranking=[]), dict(weights=None), dict(session=None),
])
def test_nonsense_gets_one_sentence(saved, tmp_path, wrong):
    path, _ = saved
    refused(build('idol-memcnp'), rewrite(
        path, tmp_path / 'x', lambda tree: dict(tree, **wrong)),
        'damaged|other weights|does not read|another|restore')


def test_the_digest_is_of_all_weights():
    model = build('sipmask-memcnp')
    before = weights_digest(model)
    assert weights_digest(copy.deepcopy(model)) == before
    for name, value in model.state_dict().items():
        if value.numel() and value.is_floating_point():
            kept = value.clone()
            value.view(-1)[-1] += 1
            assert weights_digest(model) != before, name
            value.copy_(kept)
    assert weights_digest(model) == before
