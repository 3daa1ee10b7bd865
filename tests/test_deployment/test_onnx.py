"""The exported network of single frames against the model that it is of."""
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from pycocotools.mask import decode

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.runner import _weights as weights_of
from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.deployment import (
    OnnxNetwork,
    differences,
    export_onnx,
    run_exported,
)
from mmvis_memcnp.deployment.frame_file import (
    fingerprint,
    flat_names,
    nested,
    read_meta,
)
from mmvis_memcnp.errors import CheckpointError, SavedFileError, UserError
from mmvis_memcnp.models.segmenters.deformable.positions import CellPositions
from mmvis_memcnp.models.segmenters.sipmask.base import DenseOutputs
from mmvis_memcnp.models.vis.saved_session import (
    restore_session,
    save_session,
)
from tests.fakes.colour_blobs import config as blobs_config
from tests.fakes.programs import run_program
from tests.fakes.systems import build

ROOT = Path(__file__).parents[2]

#: An export takes half a minute: one at every run.
EXPORTED = [
    'idol-memcnp', 'videomt-memcnp',
    *(pytest.param(name, marks=pytest.mark.slow)
      for name in ('sipmask-memcnp', 'sipmask', 'idol', 'minvis', 'ctvis',
                   'videomt'))]
# The size that is traced, one that is padded more, two that are larger.
SIZES = [(128, 192), (96, 160), (160, 352), (352, 640)]


@pytest.fixture(scope='module')
def exported(request, tmp_path_factory):
    """A system and the file of its network."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    model = build(request.param)
    path = tmp_path_factory.mktemp('exported') / 'network.onnx'
    export_onnx(model, path, SIZES[0], dict(
        dataset_meta=dict(classes=list('abc'))))
    return request.param, model, path


def clip(height, width, frames=2):
    """Frames that are padded, each more than the one before, and metas."""
    seed = torch.Generator().manual_seed(height)
    images = torch.randn(frames, 3, height, width, generator=seed)
    metas = []
    for t in range(frames):
        inside = height - 9 * t - 5, width - 13 * t - 7
        images[t, :, inside[0]:] = images[t, :, :, inside[1]:] = 0
        metas.append(dict(img_shape=inside, ori_shape=inside,
                          scale_factor=(1., 1.)))
    return images, metas


@pytest.mark.parametrize('exported', EXPORTED, indirect=True)
def test_any_size_gives_the_outputs_of_the_model(exported):
    _, model, path = exported
    for height, width in SIZES:
        found = check_outputs(model, path, height, width)
        if 'mask_features' in found:
            assert found['mask_features'] < 1e-4


def check_outputs(model, path, height, width):
    """How far they are, compared with how large they are."""
    images, metas = clip(height, width)
    found = differences(model, path, images, metas)
    with torch.no_grad():
        expected = dict(flat_names(model.network(
            images, [meta['img_shape'] for meta in metas])))
    assert found.keys() == expected.keys()
    for name, difference in found.items():
        # Boxes of dense heads are in pixels.
        size = max(1., expected[name].abs().max().item())
        assert difference < 1e-4 * size, (name, height, width)
        assert expected[name].std() > 1e-5, name
    return found


def test_positions_of_padding_are_those_of_the_model(tmp_path):
    """There they are sines of three million: the periods have to be those of
    PyTorch to the last digit, in as many as the papers' configs have."""
    for package in ('onnx', 'onnxscript'):
        pytest.importorskip(package)
    runtime = pytest.importorskip('onnxruntime')
    positions, path = CellPositions(128, -.5).eval(), tmp_path / 'p.onnx'
    torch.onnx.export(
        positions, (torch.zeros(1, 8, 12, dtype=torch.bool), ), path,
        dynamo=True, verbose=False, input_names=['padding'],
        dynamic_shapes=({n: torch.export.Dim.DYNAMIC for n in (1, 2)}, ))
    padding = torch.zeros(1, 9, 14, dtype=torch.bool)
    padding[:, 6:] = padding[:, :, 13:] = True
    found, = runtime.InferenceSession(
        path, providers=['CPUExecutionProvider']).run(
            None, dict(padding=padding.numpy()))
    assert (torch.from_numpy(found) - positions(padding)).abs().max() < 1e-6


@pytest.mark.slow
def test_trained_weights_beside_padding(tmp_path):
    """All outputs of the small IDOL, mask features of 20 among them."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    model = VISInferencer(
        ROOT / 'configs/idol/idol_r18_movingshapes.py',
        ROOT / 'demo/weights/query_r18_movingshapes.pth', 'cpu').model
    export_onnx(model, tmp_path / 'network.onnx', (128, 192))
    for height, width in ((128, 192), (160, 352)):
        found = check_outputs(model, tmp_path / 'network.onnx', height, width)
        assert found['mask_features'] < 1e-4


@pytest.mark.parametrize('exported', EXPORTED, indirect=True)
def test_a_video_has_the_same_tracks(exported):
    """And nothing asks for the weights that the model had."""
    name, model, path = exported
    other = build(name)
    run_exported(other, OnnxNetwork(path))
    assert all(p.is_meta for p in other.parameters())
    images, metas = clip(128, 192, frames=3)
    # Of one size, as those of a video are.
    results = [session_of(m, images, metas[:1] * 3) for m in (model, other)]
    expected, found = results
    assert len(expected.tracks) > 0
    assert [(t.id, t.label) for t in found.tracks] == [
        (t.id, t.label) for t in expected.tracks]
    for one, two in zip(expected.tracks, found.tracks, strict=True):
        assert one.score == pytest.approx(two.score, abs=1e-4)
        pairs = list(zip(one.segmentations, two.segmentations, strict=True))
        assert all((a is None) == (b is None) for a, b in pairs)
        for rle, other in (pair for pair in pairs if pair[0] is not None):
            # Sums of another order may put a pixel on the threshold to its
            # other side.
            wrong = decode(rle) != decode(other)
            assert wrong.sum() <= 1 + 1e-4 * wrong.size


@pytest.mark.parametrize('exported', EXPORTED[:1], indirect=True)
def test_a_session_is_saved_and_goes_on(exported, tmp_path):
    name, model, path = exported
    other = build(name)
    run_exported(other, OnnxNetwork(path))
    images, metas = clip(128, 192, frames=3)
    session = other.session()
    session.step(images[:2], metas[:1] * 2)
    save_session(session, tmp_path / 'saved')
    again, _ = restore_session(other, tmp_path / 'saved')
    for one in (session, again):
        one.step(images[2:], metas[:1])
    expected, found = session.finish(), again.finish()
    assert [(t.id, t.label, t.score) for t in found.tracks] == [
        (t.id, t.label, t.score) for t in expected.tracks]
    with pytest.raises(SavedFileError, match='saved with other weights'):
        restore_session(model, tmp_path / 'saved')


def session_of(model, images, metas):
    session = model.session()
    for image, meta in zip(images, metas, strict=True):
        session.step(image[None], [meta])
    return session.finish()


@pytest.mark.parametrize('exported', EXPORTED[:1], indirect=True)
def test_refusals(exported, tmp_path):
    name, model, path = exported
    assert OnnxNetwork(path).checkpoint == dict(
        meta=dict(dataset_meta=dict(classes=list('abc'))))
    with pytest.raises(UserError, match='exported from another model'):
        run_exported(build('minvis'), OnnxNetwork(path))
    with pytest.raises(UserError, match='no exported network at '):
        OnnxNetwork(tmp_path / 'none.onnx')
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match='no network that onnxruntime can'):
        OnnxNetwork(broken)
    for load in (load_checkpoint_file,
                 lambda path: VISInferencer(blobs_config(), path)):
        with pytest.raises(CheckpointError, match=(
                "network.onnx is an exported network, .* demo, .*test.py .* "
                "VISInferencer .*: .* the checkpoint that it was exported")):
            load(path)
    with pytest.raises(ValueError, match='needs a file of .*export_onnx.py'):
        VISInferencer('config.py', 'weights.pth', backend='onnx')
    with pytest.raises(ValueError, match="on the CPU, the device is 'cuda'"):
        VISInferencer('config.py', path, 'cuda', backend='onnx')
    with pytest.raises(ValueError, match="use 'torch' or 'onnx'"):
        VISInferencer('config.py', path, backend='tensorrt')


@pytest.mark.parametrize('exported', EXPORTED[:1], indirect=True)
def test_a_test_takes_the_file_for_the_checkpoint(exported, monkeypatch):
    name, _, path = exported
    monkeypatch.setattr(preflight, 'check_annotations', lambda *_: None)
    cfg = Config(dict(model=dict(type=name)))
    preflight.set_test_checkpoint(cfg, str(path), 'onnx')
    assert cfg.load_from is None and weights_of(cfg) == str(path)
    hook = HOOKS.build(dict(cfg.custom_hooks[0]))
    model = build(name)
    hook.before_test(SimpleNamespace(model=model))
    assert model.exported is hook.network and not model.training
    assert {p.device.type for p in model.parameters()} == {'meta'}


def test_a_test_refuses_what_is_no_exported_network(tmp_path):
    for given in (tmp_path / 'none.onnx', tmp_path / 'weights.pth'):
        with pytest.raises(UserError, match=(
                f'exported network at {given}|export_onnx.py in .*{given}')):
            preflight.set_test_checkpoint(Config(), str(given), 'onnx')
    done = run_program(ROOT / 'tools/test.py', 'config.py', 'x.onnx',
                       '--backend', 'onnx', '--optimize', cwd=tmp_path)
    assert done.returncode and done.stderr == (
        'Error: onnxruntime runs the network as it was exported: leave '
        '--optimize or --backend out.\n')


@pytest.mark.parametrize('size', [('0', '0'), ('-5', '10'), ('640', '0')])
def test_a_size_without_pixels(size, tmp_path):
    """Refused before the config is read."""
    done = run_program(ROOT / 'tools/deployment/export_onnx.py', 'config.py',
                       'a.pth', 'x.onnx', '--size', *size, cwd=tmp_path)
    assert done.returncode and done.stderr == (
        'Error: --size must be positive, width and height.\n')


@pytest.mark.parametrize('name', ['seqformer', 'dvis-daq', 'o2vis'])
def test_systems_without_such_a_network(name, tmp_path):
    """Clips have none; and what is learnt behind the frames would stay."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxscript')
    with pytest.raises(UserError, match='has no network of single frames'):
        export_onnx(build(name), tmp_path / 'x.onnx', (64, 64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('exported', EXPORTED[:1], indirect=True)
def test_another_size_than_the_fixed_one(exported, monkeypatch):
    network = OnnxNetwork(exported[2])
    network.outputs = DenseOutputs
    monkeypatch.setitem(network._inputs, 'frames', [1, 3, 128, 192])
    with pytest.raises(UserError, match=(
            'takes inputs of 192x128 alone, and this video gives 160x96')):
        network(torch.zeros(1, 3, 96, 160), [(96, 160)])


def test_files_of_other_programs():
    with pytest.raises(UserError, match='was not written by tools/deployment'):
        read_meta({}, 'other.onnx')
    assert read_meta(dict(mmvis_memcnp=json.dumps([1])), 'x') == [1]


def test_lists_of_tensors_are_numbered():
    outs = DenseOutputs([1, 2], [3], [4], 5, 6, None, None)
    flat = flat_names(outs)
    assert [name for name, _ in flat] == [
        'cls_scores.0', 'cls_scores.1', 'boxes.0', 'centernesses.0', 'basis',
        'track_map']
    assert nested(DenseOutputs, dict(flat)) == outs


def test_the_fingerprint_is_that_of_names_and_shapes():
    one, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(torch.nn.Linear(3, 2))


def test_without_the_packages(tmp_path, monkeypatch):
    (tmp_path / 'x.onnx').touch()
    for name, call in (
            ('onnx', lambda: export_onnx(build('minvis'), 'x', (64, 64))),
            ('onnxruntime', lambda: OnnxNetwork(tmp_path / 'x.onnx'))):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UserError, match=r'mmvis-memcnp\[export\]'):
            call()
