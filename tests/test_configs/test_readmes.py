"""A README of configs: one screen, all configs, commands that run as printed.
"""
import re
import shlex

import pytest

from mmvis_memcnp.datasets.moving_shapes.generate import generate
from tests.fakes.programs import run_program

from .sources import matches
from .trees import (
    CONFIGS,
    ROOT,
    SYSTEMS,
    config_of,
    configs_of,
    network_of,
)

BLOCK = re.compile(r'<!-- run -->\n```bash\n(.*?)```', re.S)
ROW = re.compile(r'^\|(.+)\[(.+)\]\(\2\.py\) \|$', re.M)
BACKBONES = {
    ('ResNet', 50): 'R50', ('ResNet', 101): 'R101', ('MAEViT', 12): 'ViT-b',
    ('ResNeXt', 101): 'X101-64x4d', ('SwinTransformer', 24, 96): 'Swin-S',
    ('SwinTransformer', 12, 96): 'Swin-T',
    ('SwinTransformer', 24, 128): 'Swin-B',
    ('SwinTransformer', 24, 192): 'Swin-L', ('ViTAdapter', 1024): 'ViT-L',
    ('ViTAdapter', 1280): 'ViT-H', ('DINOv2', 12, 384): 'ViT-S',
    ('DINOv2', 12, 768): 'ViT-B', ('DINOv2', 24, 1024): 'ViT-L'
}
#: What a command gets beside what is printed: it ends soon.
SOON = dict(train=(
    '--cfg-options train_cfg.max_iters=2 train_cfg.val_interval=2 '
    'train_dataloader.batch_size=2 train_dataloader.num_workers=0 '
    'train_dataloader.persistent_workers=False '
    'val_dataloader.num_workers=0 val_dataloader.persistent_workers=False '
    'param_scheduler.0.end=1 param_scheduler.1.begin=1 '
    'param_scheduler.1.end=2 default_hooks.checkpoint.interval=2').split(),
            test=('--cfg-options test_dataloader.num_workers=0 '
                  'test_dataloader.persistent_workers=False').split(),
            video_demo=['--max-frames', '6'])


def text_of(system: str) -> str:
    return (CONFIGS / system / 'README.md').read_text()


def commands(system: str) -> list[str]:
    """The commands that are marked to be run, a line each."""
    (block, ) = BLOCK.findall(text_of(system))
    return block.replace('\\\n', ' ').splitlines()


@pytest.mark.parametrize('system', SYSTEMS)
def test_fits_on_a_screen(system):
    assert len(text_of(system).splitlines()) <= 60


@pytest.mark.parametrize('system', SYSTEMS)
def test_table_says_what_the_configs_say(system):
    rows = {name: [c.strip() for c in cells.strip('| ').split('|')]
            for cells, name in ROW.findall(text_of(system))}
    assert rows.keys() == {
        n.split('/', 1)[1] for n in configs_of(system)
        if not re.search('official|movingshapes|one-clip|ablations/', n)}
    for name, (method, backbone, data, schedule, *_) in rows.items():
        cfg = config_of(f'{system}/{name}')
        part, loop = network_of(cfg.model)['backbone'], cfg.train_cfg
        size = (sum(part.depths), part.embed_dims) if 'depths' in part else (
            part.depth, part.embed_dims) if part.type == 'DINOv2' else (
                part.get('depth', part.get('embed_dims')), )
        assert BACKBONES[part.type, *size] == backbone, name
        dataset = cfg.train_dataloader.dataset
        found = [d.type for d in dataset.get('datasets', [dataset])]
        assert sorted(data.split(', ')) == sorted(
            dict(CocoPseudoVideo='COCO').get(d, d) for d in found), name
        length = (f'{loop.max_epochs} epochs' if 'max_epochs' in loop
                  else f'{loop.max_iters} steps')
        clips = cfg.auto_scale_lr.base_batch_size
        assert schedule == f'{length} of {clips} clips', name
        head = cfg.model.get('bbox_head', cfg.model)
        assert ('with MemCNP' in method) == ('memcnp' in head), name


@pytest.mark.parametrize('system', SYSTEMS)
def test_other_configs_are_named(system):
    """By a pattern in backticks, or by their folder."""
    text = text_of(system)
    tabled = {name for _, name in ROW.findall(text)}
    named = re.findall(r'`([\w*-]+)\.py`', text)
    named += [f'{n}/*' for n in re.findall(r'\[(\w+)\]\(\1\)', text)]
    for name in configs_of(system):
        short = name.split('/', 1)[1]
        assert short in tabled or matches(short, named), name


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A checkout with little data."""
    folder = tmp_path_factory.mktemp('checkout')
    for name in ('configs', 'tools', 'demo'):
        (folder / name).symlink_to(ROOT / name)
    for seed, part in enumerate(('train', 'val')):
        generate(folder / 'data/moving_shapes/easy' / part, 2, 4, (128, 192),
                 seed, 'easy')
    return folder


@pytest.mark.parametrize('system', SYSTEMS)
def test_commands_run_as_printed(system, folder):
    """Train, test and demo, one after the other, on little data."""
    tools = []
    for line in commands(system):
        for found in re.findall(r'\$\(cat (\S+)\)', line):
            line = line.replace(
                f'$(cat {found})', (folder / found).read_text().strip())
        python, tool, *args = shlex.split(line)
        assert python == 'python'
        name = (ROOT / tool).stem
        done = run_program(ROOT / tool, *args, *SOON[name], cwd=folder)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        tools.append(name)
        if name == 'test':
            assert 'AP50' in done.stdout
    assert tools == ['train', 'test', 'video_demo']
    out = folder / f'outputs/{system}'
    assert {p.suffix for p in out.iterdir()} & {'.mp4', '.webm'}
    assert list(out.glob('*.json'))
