"""The README and the configs say the same, both ways."""
import re

import pytest

from .trees import (
    ABSENT,
    FOLDER,
    build,
    changes,
    leaves,
    literal,
    load,
    tables,
    value_of,
)

# Name of each paper config to the words that its columns may ask for.
FAMILIES = {
    f'sipmask{host}_{net}_fpn_8xb8-12e_{data}': {a, b, c}
    for host, a in (('', 'SipMask'), ('-memcnp', 'MemCNP'))
    for net, b in (('r50', 'R50'), ('vit-b', 'ViT-b'))
    for data, c in (('youtubevis2021', 'YouTube-VIS'), ('ovis', 'OVIS'))
}
WORDS = set().union(*FAMILIES.values())
BINDING = re.compile(
    r'(model|optim_wrapper|param_scheduler|train_cfg|auto_scale_lr|load_from|'
    r'randomness|train_dataloader\.(batch_size|dataset\.(clip_sampler|'
    r'pipeline))|test_dataloader\.dataset\.pipeline)\b')
# Names, flags of form and what follows from the rows that are there.
NOT_A_NUMBER = re.compile(
    r'(\.type|by_epoch|\.begin|reduction|use_sigmoid|keep_ratio|pad_mask|'
    r'num_stages|out_indices|relu_before_extra_convs)$')


def applies(head: str, words: set[str]) -> bool:
    """Whether a column holds for a config."""
    asked = set(head.split()) - {'all'}
    assert asked <= WORDS, f'unknown column {head!r}'
    return asked <= words


def documented(words: set[str]) -> dict:
    """Key to value, as the README gives them for one config."""
    values: dict = {}
    for head, *rows in tables('setting'):
        assert head[1] == 'key' and head[-1] == 'source'
        for row in rows:
            assert len(row) == len(head) and row[-1], row
            key = row[1].strip('`')
            for column, cell in zip(head[2:-1], row[2:-1], strict=True):
                if applies(column, words):
                    assert key not in values, f'{key} stands there twice'
                    values[key] = literal(cell)
    return values


@pytest.mark.parametrize('name', FAMILIES)
def test_every_number_has_its_row(name):
    config = dict(leaves(load(name)))
    said = documented(FAMILIES[name])
    assert {key: config.get(key, ABSENT) for key in said} == said
    binding = {
        key for key in config
        if BINDING.match(key) and not NOT_A_NUMBER.search(key)
    }
    assert len(binding) > 40
    assert binding - said.keys() == set()


def test_columns():
    ovis = FAMILIES['sipmask-memcnp_r50_fpn_8xb8-12e_ovis']
    assert documented(ovis)['optim_wrapper.optimizer.lr'] == 0.005
    assert documented(ovis)['model.bbox_head.regress_ranges'] == ABSENT
    assert applies('all', ovis) and applies('MemCNP OVIS', ovis)
    assert not applies('SipMask', ovis) and not applies('MemCNP ViT-b', ovis)
    with pytest.raises(AssertionError, match='unknown column'):
        applies('SipMask R101', ovis)


def test_changes():
    before = dict(a=dict(type='x', b=(1, 2)), c=3)
    assert not list(changes(before, dict(a=dict(type='x', b=[1, 2]), c=3)))
    assert dict(changes(before, dict(a=dict(type='x', b=[1], d=None)))) == {
        'a.b': [1], 'a.d': None, 'c': ABSENT
    }
    assert dict(changes(before, dict(a=dict(type='y'), c=3))) == {
        'a': dict(type='y')
    }


def named(cell: str) -> str:
    """Path of the config that a cell links to, without suffix."""
    match = re.search(r'\]\((.+)\.py\)', cell)
    assert match, cell
    return match.group(1)


def counts(model) -> dict[str, int]:
    """Parameters by part, counted independently of the tool."""
    def total(module):
        return sum(p.numel() for p in module.parameters())

    memory = getattr(model.bbox_head, 'memcnp', None)
    return dict(
        backbone=total(model.backbone),
        neck=total(model.neck),
        head=total(model.bbox_head),
        total=total(model),
        trainable=sum(
            p.numel() for p in model.parameters() if p.requires_grad),
        memcnp=total(memory) if memory else 0)


def test_parameters():
    (head, *rows), = tables('config')
    for row in rows:
        assert counts(build(named(row[0]))) == dict(
            zip(head[1:], map(int, row[1:]), strict=True)), row[0]
    listed = {named(row[0]) for row in rows}
    assert listed >= FAMILIES.keys()


def test_ablations():
    (_, *rows), = tables('row')
    full = load('sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021')
    linked = set()
    for row in rows:
        name = named(row[1])
        linked.add(name)
        if not name.startswith('ablations/'):
            continue
        said = dict(text.split('=', 1) for text in re.findall('`(.+?)`',
                                                              row[2]))
        config = load(name)
        assert dict(changes(full, config)) == {
            f'model.{key}': value_of(text) for key, text in said.items()
        }, name
    files = {f'ablations/{p.stem}' for p in FOLDER.glob('ablations/*.py')}
    assert len(linked) == 17
    # The cost of ResNet-50 is no row of the ablations on ViT-b.
    assert files - linked == {
        'ablations/sipmask-memcnp_r50_without-memcnp_youtubevis2021'
    }


def test_cost_counterpart_of_r50():
    assert dict(
        changes(
            load('sipmask-memcnp_r50_fpn_8xb8-12e_youtubevis2021'),
            load('ablations/sipmask-memcnp_r50_without-memcnp_youtubevis2021')
        )) == {
            'model.bbox_head.memcnp': None,
            'model.bbox_head.loss_track': dict(
                type='ContrastiveTrackingLoss', temperature=0.1)
        }


OFFICIAL = {
    'bbox_head.clip_boxes': 'input',
    'bbox_head.vector_rounding': 'round',
    'bbox_head.memcnp.decay_unused': True,
    'bbox_head.memcnp.training.assigner.topk': 4,
    'bbox_head.memcnp.training.assigner.candidates': 'nearest',
    'bbox_head.centreness_level': 'finest',
    'bbox_head.track_anchors': 'ground_truth',
    'bbox_head.memcnp.training.loss.reduction': 'image_sum',
}


def option(model, path: str):
    """The value of an option in a built model."""
    # The rules that the key of MemCNP brings along are parts of the head.
    path = path.replace('memcnp.training.loss', 'loss_cnp').replace(
        'memcnp.training.', '')
    for name in path.split('.')[:-1]:
        model = getattr(model, name)
    return getattr(getattr(model, 'bank', model), path.split('.')[-1])


@pytest.mark.parametrize('net', ['r50', 'vit-b'])
def test_official_memcnp(net):
    names = (f'sipmask-memcnp_{net}_fpn_8xb8-12e_youtubevis2021',
             f'sipmask-memcnp_{net}_official')
    paper, official = map(load, names)
    del official['official_head']
    assert dict(changes(paper, official)) == {
        f'model.{key}': value for key, value in OFFICIAL.items()
    }
    (_, *rows), = tables('option (`model.`)')
    models = list(map(build, names))
    said = {row[0].strip('`'): row[1:3] for row in rows}
    assert said.keys() == OFFICIAL.keys()
    for key, cells in said.items():
        assert [option(m, key) for m in models] == list(map(literal, cells))


def test_official_sipmask():
    assert load('sipmask_r50_official') == load(
        'sipmask_r50_fpn_8xb8-12e_youtubevis2021')


def test_coco_start():
    assert dict(
        changes(
            load('sipmask_r50_fpn_8xb8-12e_youtubevis2021'),
            load('sipmask_r50_fpn_8xb8-12e-coco-init_youtubevis2021'))) == {
                'model.backbone.init_cfg': None,
                'load_from': 'checkpoints/sipmask_r50_coco.pth'
            }
