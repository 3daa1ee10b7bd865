"""tools/model_converters/convert_checkpoint.py on seeded weights."""
import hashlib
import importlib.util
import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from mmvis_memcnp.converters import KEY_MAPS
from tests.fakes.tiny_sipmask import tiny_config, tiny_model

ROOT = Path(__file__).resolve().parents[2]
NAMES = {'bbox_head.memcnp.bank.items': 'bbox_head.mem.feat_units.weight'}


def official(kind):
    """The state dict of a tiny model under the official names."""
    return {
        NAMES.get(k, k).replace('memcnp.bank.mlp', 'mem.mlp'): v
        for k, v in tiny_model(kind, salt=7).state_dict().items()
    }


def load_tool(name):
    spec = importlib.util.spec_from_file_location(
        name, ROOT / f'tools/model_converters/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tool(tmp_path, capsys):
    """Runs the tool; returns what it printed, or the sentence it ended with.
    """
    module = load_tool('convert_checkpoint')

    def run(kind, content, *options, **parts):
        config = tmp_path / 'config.py'
        cfg = tiny_config(kind)
        cfg.merge_from_dict(parts)
        cfg.dump(config)
        if not isinstance(content, bytes):
            torch.save(content, tmp_path / 'in.pth')
        else:
            (tmp_path / 'in.pth').write_bytes(content)
        try:
            module.main([
                str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'),
                '--config', str(config), *options])
        except SystemExit as error:
            assert list(tmp_path.glob('out*')) == []  # nothing half-written
            return str(error)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize('kind, system', [
    ('sipmask', 'sipmask'), ('memcnp', 'memcnp_sipmask')])
@pytest.mark.parametrize('wrap', [lambda s: s, lambda s: dict(model=s, it=3)])
def test_result_is_the_model(tool, tmp_path, kind, system, wrap):
    printed = tool(kind, wrap(official(kind)))
    sums = [hashlib.sha256((tmp_path / f).read_bytes()).hexdigest()
            for f in ('in.pth', 'out.pth')]
    assert [line.split()[0] for line in printed.splitlines()[:2]] == sums
    tensors = len(official(kind))
    assert printed.splitlines()[2:] == [
        f'system: {system}', f'tensors kept: {tensors} of {tensors}, '
        f'{5 if kind == "memcnp" else 0} of them under new names',
        'classes: the config names none']
    out = load_checkpoint_file(tmp_path / 'out.pth')
    assert out['meta'] == dict(
        system=system, source='in.pth', source_sha256=sums[0])
    expected = tiny_model(kind, salt=7).state_dict()
    assert out['state_dict'].keys() == expected.keys()
    assert all(torch.equal(v, out['state_dict'][k])
               for k, v in expected.items())


@pytest.mark.parametrize('change, message', [
    (lambda s: s.pop('neck.fpn_convs.0.conv.bias'),
     'missing: neck.fpn_convs.0.conv.bias'),
    (lambda s: s.update(more=torch.zeros(1)), 'unexpected: more'),
    (lambda s: s.pop('bbox_head.mem.feat_units.weight'), 'no known system'),
])
def test_other_tensors_are_named(tool, change, message):
    state = official('memcnp')
    change(state)
    answer = tool('memcnp', state)
    assert message in answer and answer.count('\n') == 0


def loader_of(*classes):
    return dict(test_dataloader=dict(dataset=dict(
        type='YouTubeVIS2021', metainfo=dict(classes=classes))))


def test_class_names_of_the_data_set_are_stored(tool, tmp_path):
    printed = tool('sipmask', official('sipmask'), **loader_of(*'abc'))
    assert printed.splitlines()[-1] == 'classes: 3'
    meta = load_checkpoint_file(tmp_path / 'out.pth')['meta']
    assert tuple(meta['dataset_meta']['classes']) == ('a', 'b', 'c')


def test_class_names_that_are_not_those_of_the_model(tool):
    answer = tool('sipmask', official('sipmask'), **loader_of('a', 'b'))
    assert 'other shape' in answer and 'instead of (2, ' in answer
    assert 'use the config that matches the checkpoint' in answer
    assert answer.count('\n') == 0


def test_overrides_of_the_config(tool):
    options = '--cfg-options', 'model.bbox_head.num_classes=2'
    answer = tool('sipmask', official('sipmask'), *options)
    assert 'other shape' in answer and 'instead of (2, ' in answer


def test_a_config_that_is_not_there(tool):
    answer = tool('sipmask', official('sipmask'), '--config', 'no.py')
    assert answer == ('There is no config at no.py: give the path of a file '
                      'in configs/.')


def test_what_was_dropped_is_said(tool):
    transformer, part = 'detr.detr.transformer.', torch.zeros(1)
    names = {
        f'{transformer}encoder.layers.0.self_attn.output_proj_box.bias': part,
        f'{transformer}decoder.bbox_embed.0.layers.1.bias': part,
        f'{transformer}decoder.bbox_embed.0.layers.1.weight': part,
        'detr.detr.bbox_embed.0.layers.1.bias': part,
        'detr.detr.backbone.0.backbone.stem.conv1.norm.running_var': part,
        'kept': part,
    }
    report = load_tool('convert_checkpoint').summary(
        'seqformer', names, KEY_MAPS['seqformer'].convert(names),
        ('Person', 'Bird'))
    assert set(report.splitlines()) == {
        'system: seqformer',
        'tensors kept: 3 of 6, 2 of them under new names',
        'tensors dropped: 2 (shared copies of the box branches)',
        'tensors dropped: 1 (projections of the encoder, which nothing '
        'reads)',
        'tensors added: 1 (counters of the batch norms)',
        'classes: 2'}


@pytest.mark.parametrize('num_classes, options', [
    # MinVIS of YouTube-VIS 2019
    (40, ()),
    # Mask2Former of COCO, as docs/model_zoo.md says
    (80, ('--system', 'mask2former', '--cfg-options',
          'train_dataloader.dataset.type=CocoPseudoVideo',
          'val_dataloader=None', 'test_dataloader=None')),
])
def test_mask2former_with_a_shipped_config(tmp_path, capsys, num_classes,
                                           options):
    """Names and shapes as released; a file of CTVIS tells them."""
    manifest = json.loads(
        (ROOT / 'tests/data/parity/mask2former_r50_ctvis/manifest.json')
        .read_text())
    names = {name: shape for name, shape, _ in manifest['tensors']
             if 'reid_embed' not in name}
    official = {
        name: torch.zeros(shape if 'class_embed' not in name else (
            num_classes + 1, *shape[1:])) for name, shape in names.items()}
    official['criterion.empty_weight'] = torch.ones(num_classes + 1)
    torch.save(dict(model=official), tmp_path / 'in.pth')
    load_tool('convert_checkpoint').main([
        str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth'), '--config',
        str(ROOT / 'configs/minvis/minvis_r50_8xb4-6k_youtubevis2019.py'),
        *options])
    said = capsys.readouterr().out
    assert f'tensors kept: {len(names)} of {len(official)}' in said
    assert f'classes: {num_classes}' in said
    found = load_checkpoint_file(tmp_path / 'out.pth')
    assert len(found['meta']['dataset_meta']['classes']) == num_classes
    assert len(found['state_dict']['segmenter.decoder.cls_embed.bias']
               ) == num_classes + 1


def test_publish_makes_the_folder(tmp_path, monkeypatch, capsys):
    kept = dict(sigma_map=dict(raw=[.1], std=[.2]))
    torch.save(dict(state_dict=official('sipmask'),
                    meta=dict(kept, cfg='mine')), tmp_path / 'in.pth')
    target = tmp_path / 'new' / 'folder' / 'out.pth'
    monkeypatch.setattr('sys.argv', [
        'publish', str(tmp_path / 'in.pth'), str(target)])
    load_tool('publish_model').main()
    assert 'sha256' in capsys.readouterr().out
    published = load_checkpoint_file(target)
    assert published['state_dict'].keys() == official('sipmask').keys()
    assert published['meta'] == dict(kept, dataset_meta=dict(classes=()))


def test_other_system_or_config(tool):
    assert "those of 'memcnp_sipmask', not of 'sipmask'" in tool(
        'memcnp', official('memcnp'), '--system', 'sipmask')
    assert 'does not fit the model' in tool('sipmask', official('memcnp'))


class Evil:

    def __reduce__(self):
        return os.system, ('touch out_of_the_pickle', )


@pytest.mark.parametrize('dump', [pickle.dumps, None])
def test_code_is_not_executed(tool, tmp_path, monkeypatch, dump):
    monkeypatch.chdir(tmp_path)
    content = dict(state_dict=official('sipmask'), more=Evil())
    answer = tool('sipmask', pickle.dumps(Evil()) if dump else content)
    assert 'was not loaded' in answer and 'system' in answer
    assert not (tmp_path / 'out_of_the_pickle').exists()


def test_damaged_and_missing_files(tool, tmp_path):
    assert 'not a readable checkpoint' in tool('sipmask', b'PK\x03\x04no')
    assert 'no weights' in tool('sipmask', {1: 2})
