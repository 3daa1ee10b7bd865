"""The README of SeqFormer and its configs say the same, both ways."""
import re
import runpy
from pathlib import Path

import pytest
import yaml

from .trees import ABSENT, build, config_of, leaves, literal, load, tables

FOLDER = Path(__file__).parents[2] / 'configs' / 'seqformer'
COMPLEXITY = FOLDER.parents[1] / 'tools/analysis_tools/model_complexity.py'
NAMES = sorted(p.stem for p in FOLDER.glob('*.py'))
FAMILIES = {
    f'seqformer_{net}_8xb2-12k_youtubevis{year}': {word}
    for net, word in (('r50', 'R50'), ('r101', 'R101'), ('swin-l', 'Swin-L'))
    for year in (2019, 2021)
} | {
    f'seqformer-memcnp_{net}_8xb2-12k_youtubevis2021': {word, 'MemCNP'}
    for net, word in (('r50', 'R50'), ('swin-l', 'Swin-L'))
}
BINDING = re.compile(
    r'(model|optim_wrapper|param_scheduler|train_cfg|auto_scale_lr|load_from|'
    r'randomness|train_dataloader\.(batch_size|dataset\.(clip_sampler|'
    r'pipeline))|test_dataloader\.dataset\.pipeline)\b')
# Names, flags of form and what follows from the rows that are there.
NOT_A_NUMBER = re.compile(
    r'(\.type|by_epoch|\.begin|\.end|keep_ratio|pad_mask|num_stages|'
    r'out_indices|val_interval|kernel_size|act_cfg|style|convert_weights|'
    r'requires_grad|patch_norm)$')


def documented(words):
    """Key to value, as the README gives them for one config."""
    values = {}
    for head, *rows in tables('setting', FOLDER):
        assert head[1] == 'key' and head[-1] == 'source'
        for row in rows:
            assert len(row) == len(head) and row[-1], row
            for column, cell in zip(head[2:-1], row[2:-1], strict=True):
                if set(column.split()) - {'all'} <= words:
                    key = row[1].strip('`')
                    assert key not in values, f'{key} stands there twice'
                    values[key] = literal(cell)
    return values


@pytest.mark.parametrize('name', FAMILIES)
def test_every_number_has_its_row(name):
    config = dict(leaves(load(name, FOLDER)))
    said = documented(FAMILIES[name])
    assert {key: config.get(key, ABSENT) for key in said} == said
    binding = {key for key in config
               if BINDING.match(key) and not NOT_A_NUMBER.search(key)}
    assert len(binding) > 40
    assert binding - said.keys() == set()


def test_parameters():
    (head, *rows), = tables('config', FOLDER)
    for row in rows:
        model = build(
            re.search(r'\]\((.+)\.py\)', row[0]).group(1), FOLDER)
        count = {n: sum(p.numel() for p in part.parameters())
                 for n, part in model.named_children()}
        found = dict(backbone=count['backbone'], neck=count['neck'],
                     total=sum(count.values()))
        found['head'] = 2 * found['total'] - sum(found.values())
        found['trainable'] = sum(
            p.numel() for p in model.parameters() if p.requires_grad)
        assert found == dict(zip(head[1:], map(int, row[1:]), strict=True))
    assert len(rows) == 8


def test_parameters_as_in_table_1():
    """Of R50: 49.1 M with MemCNP, as the paper says."""
    count = runpy.run_path(str(COMPLEXITY))['count_parameters']
    (head, *rows), = tables('Table 1', FOLDER)
    totals = []
    for row in rows:
        model = build(re.search(r'\]\((.+)\.py\)', row[0]).group(1), FOLDER)
        found = count(model)
        assert [str(found[name]) for name in head[1:]] == row[1:]
        totals.append(found['total'])
        # All that is trained, with the MLP of the contrast.
        assert found['trainable'] == sum(
            p.numel() for p in model.parameters() if p.requires_grad)
    plain, memcnp = totals
    assert .7e6 < memcnp - plain < 1.3e6
    assert abs(memcnp - 49.1e6) < .2e6


def test_memcnp_is_an_addition():
    for net in ('r50', 'swin-l'):
        name = f'{net}_8xb2-12k_youtubevis2021'
        plain = load(f'seqformer_{name}', FOLDER)
        both = load(f'seqformer-memcnp_{name}', FOLDER)
        del both['memcnp_queries'], both['model']['memcnp']
        assert both == plain


@pytest.mark.parametrize('name, year', [
    ('seqformer_r50_official', 2019),
    ('seqformer_r50_official_youtubevis2021', 2021)])
def test_official_is_the_default(name, year):
    assert load(name, FOLDER) == load(
        f'seqformer_r50_8xb2-12k_youtubevis{year}', FOLDER)


@pytest.mark.parametrize('name', NAMES)
def test_complete(name):
    cfg = config_of(name, FOLDER)
    assert cfg.custom_imports.imports == ['mmvis_memcnp']
    assert cfg.test_cfg.type == 'VideoTestLoop'
    assert cfg.train_dataloader.sampler.type == 'ResumableSampler'
    assert cfg.train_cfg.type == 'ResumableIterTrainLoop'
    build(name, FOLDER)


def test_metafile_lists_the_configs():
    models = yaml.safe_load((FOLDER / 'metafile.yml').read_text())['Models']
    listed = {Path(m['Config']).stem for m in models}
    assert listed == {n for n in NAMES if 'official' not in n
                      and 'movingshapes' not in n}
    assert all(m['Name'] == Path(m['Config']).stem for m in models)
