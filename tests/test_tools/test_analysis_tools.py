"""Counting, timing and drawing from the command line."""
import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.ops import DeformConv2d
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmengine.model import BaseModel
from torch import nn

from mmvis_memcnp.models.memcnp import MemCNP
from mmvis_memcnp.models.segmenters.deformable import build_box_branches
from mmvis_memcnp.models.vis import VIS
from mmvis_memcnp.results import encode_masks
from tests.fakes.colour_blobs import CLASSES, clip, write_model
from tests.fakes.programs import run_program

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools'


def last_json(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def test_complexity_by_hand(tmp_path):
    cfg, _ = write_model(tmp_path)
    # backbone: 1x1 convolution 3 -> 4; head: linear 4 -> 3
    report = last_json(run_program(
        TOOLS / 'model_complexity.py', cfg, '--json', '--shape', 30, 64,
        '--compare', cfg, cwd=tmp_path))
    flops = 2 * 3 * 4 * 32 * 64 + 2 * 4 * 3  # 30 is padded to 32
    assert report == dict(
        backbone=16, neck=0, head=15, total=31, trainable=31, memcnp=0,
        flops=flops, shape=[30, 64], flops_compared=flops, flops_ratio=1.)
    report = last_json(run_program(TOOLS / 'model_complexity.py', cfg,
                                   '--json', '--no-flops', cwd=tmp_path))
    assert 'flops' not in report and report['total'] == 31


class WithMemory(VIS):
    """Parameters in every place, some frozen."""

    def __init__(self):
        BaseModel.__init__(self)
        self.backbone = nn.Linear(2, 3).requires_grad_(False)  # 9
        self.neck = nn.Linear(3, 4)  # 16
        self.bbox_head = nn.Module()
        self.bbox_head.memcnp = nn.Embedding(5, 6)  # 30
        self.bbox_head.fcos_reg = nn.Linear(1, 1)  # 2


def test_parts_of_a_model():
    tool = runpy.run_path(str(TOOLS / 'model_complexity.py'))
    assert tool['count_parameters'](WithMemory()) == dict(
        backbone=9, neck=16, head=32, total=57, trainable=48, memcnp=30)


class QueryHost(VIS):
    """A host with queries, some of its backbone frozen."""

    def __init__(self, memcnp=None):
        BaseModel.__init__(self)
        self.backbone = nn.Sequential(
            nn.Linear(2, 3).requires_grad_(False), nn.Linear(3, 3))  # 12
        self.neck = nn.Linear(3, 4)  # 16
        self.encoder = nn.Linear(4, 4)  # 20
        self.decoder = nn.Linear(4, 4)  # 20
        self.reference_points = nn.Linear(8, 2)  # 18
        self.memcnp = memcnp
        self.box_branches = build_box_branches(2, 8, memcnp)  # 2 * 180
        self.cls_branches = nn.Linear(8, 1)  # 9


def test_hosts_with_queries_are_counted_as_in_table_1():
    tool = runpy.run_path(str(TOOLS / 'model_complexity.py'))
    assert tool['count_parameters'](QueryHost()) == dict(
        backbone=12, neck=58 + 360, head=25, total=455, trainable=455,
        memcnp=0)
    # A layer 8 * 8 + 4 * 9 of its MLP and 12 * 8 + 8 + 72; where items are
    # trained, 6 * 12 more.
    for items, added in ((False, 552), (True, 552 + 72)):
        memcnp = MemCNP(num_items=6, feat_dims=8, readout='raw',
                        learnable=items)
        assert tool['count_parameters'](QueryHost(memcnp)) == dict(
            backbone=12, neck=58 + 360, head=25 + added, total=455 + added,
            trainable=455 + added, memcnp=added)


class Deformable(nn.Module):
    """One deformable convolution on a map of a given size."""

    def __init__(self, side):
        super().__init__()
        self.side = side
        self.data_preprocessor = TrackDataPreprocessor(pad_size_divisor=1)
        self.conv = DeformConv2d(8, 6, 3, padding=1, deform_groups=2)

    def forward(self, inputs, mode):
        x = inputs.new_zeros(1, 8, self.side, self.side)
        out = self.conv(x, inputs.new_zeros(1, 36, self.side, self.side))
        assert out.shape == (1, 6, self.side, self.side)


@pytest.mark.parametrize('side', [5, 2])
def test_a_deformable_convolution_counts_as_a_convolution(side):
    tool = runpy.run_path(str(TOOLS / 'model_complexity.py'))
    # maps smaller than the kernel are padded to its size
    cells = max(side, 3)**2
    assert tool['count_flops'](Deformable(side), (8, 8)) == \
        2 * cells * 8 * 6 * 9


def test_benchmark_adds_up(tmp_path):
    cfg, weights = write_model(tmp_path)
    report = last_json(run_program(
        TOOLS / 'benchmark.py', cfg, weights, '--against', cfg, '--frames', 4,
        '--warm-up', 1, '--size', 24, 32, '--device', 'cpu', '--json',
        cwd=tmp_path))
    assert report['frames'] == 4 and report['warm_up'] == 1
    assert report['device'] == 'cpu' and report['precision'] == 'float32'
    assert report['threads'] == torch.get_num_threads()
    for key in ('model', 'against'):
        ms = report[key]['ms']
        assert list(ms) == ['read', 'network', 'association', 'output',
                            'total']
        for part in ms.values():
            assert 0 < part['q25'] <= part['median'] <= part['q75']
    assert set(report['ratio']) == set(report['model']['ms'])


def test_benchmark_takes_turns_and_starts_over(tmp_path):
    tool = runpy.run_path(str(TOOLS / 'benchmark.py'))
    order = []

    class Stub:

        def __init__(self, name):
            self.name = name

        def frame(self):
            order.append(self.name)

        def forget(self):
            order.append('forget ' + self.name)

        def end(self):
            order.append('end ' + self.name)

    tool['compete'](dict(a=Stub('a'), b=Stub('b')), frames=3, warm_up=1)
    assert order == ['a', 'b', 'forget a', 'forget b', 'b', 'a', 'a', 'b',
                     'b', 'a', 'end a', 'end b']

    from mmvis_memcnp.apis import VISInferencer
    inferencer = VISInferencer(*write_model(tmp_path), device='cpu')
    one = tool['Contestant'](inferencer, clip(3), False)
    for _ in range(7):  # a video of three frames, twice and one more
        one.frame()
    assert one.instances == [1, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(one.by_part()['total'],
                               np.sum(one.times, 1) * 1e3)


@pytest.fixture
def annotated(tmp_path):
    """Frames, a ground truth of the red box and a result with it."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    frames = clip()
    for t, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{t}.png'), frame)
    rles = [dict(r, counts=r['counts'].decode())
            for r in encode_masks(frames[..., 2] == 255)]
    track = dict(video_id=1, category_id=1, segmentations=rles)
    (tmp_path / 'ann.json').write_text(json.dumps(dict(
        videos=[dict(id=1, height=48, width=64,
                     file_names=[f'{t}.png' for t in range(6)])],
        categories=[dict(id=i, name=n) for i, n in enumerate(CLASSES, 1)],
        annotations=[dict(track, id=1, iscrowd=0)])))
    (tmp_path / 'results.json').write_text(
        json.dumps([dict(track, score=.5)]))
    return tmp_path


def test_results_figure(annotated):
    result = run_program(
        TOOLS / 'visualize_results.py', 'ann.json', 'frames', '--results',
        'a system=results.json', '--frames', 0, 5, '--height', 48, '--out',
        'a.png', cwd=annotated)
    assert result.returncode == 0, result.stderr
    figure = cv2.imread(str(annotated / 'a.png'))
    # a row of titles, then two rows of two frames 64 pixels wide
    assert figure.shape[0] >= 2 * 52 and figure.shape[1] > 2 * 68
    result = run_program(TOOLS / 'visualize_results.py', 'ann.json', 'frames',
                         '--frames', 6, cwd=annotated)
    assert result.returncode == 1
    assert '--frames must lie in 0..5' in result.stderr


def test_detections_figure(annotated):
    model = write_model(annotated)
    result = run_program(TOOLS / 'visualize_detections.py', *model, 'frames',
                         '--frames', 3, 1, '--out', 'a.png', cwd=annotated)
    assert result.returncode == 0, result.stderr
    assert cv2.imread(str(annotated / 'a.png')).shape[1] > 2 * 480


@pytest.mark.parametrize('tool, extra', [
    ('visualize_uncertainty.py', ['frames']),
    ('visualize_memory.py', ['frames']),
    ('visualize_selection.py', ['--ann-file', 'ann.json', '--img-prefix',
                                'frames']),
])
def test_models_without_memcnp_are_refused(tool, extra, annotated):
    result = run_program(TOOLS / tool, *write_model(annotated), *extra,
                         cwd=annotated)
    assert result.returncode == 1
    assert 'use a config with MemCNP' in result.stderr


MEMCNP = Path(__file__).resolve().parents[2] / 'configs' / 'sipmask' / \
    'sipmask-memcnp_r18_movingshapes.py'


@pytest.mark.skipif(not MEMCNP.exists(), reason='the config is not here')
@pytest.mark.parametrize('tool, extra, cells', [
    ('visualize_uncertainty.py', ['frames', '--frames', 0, 2], (2, 4)),
    ('visualize_memory.py', ['frames', '--topk', 3], (1, 4)),
    ('visualize_selection.py', ['--ann-file', 'ann.json', '--img-prefix',
                                'frames'], (4, 3)),
])
def test_figures_of_a_memcnp_model(tool, extra, cells, annotated):
    from mmdet.registry import MODELS
    from mmengine.config import Config
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(str(MEMCNP)).model)
    torch.save(dict(state_dict=model.state_dict()), annotated / 'w.pth')
    result = run_program(TOOLS / tool, MEMCNP, 'w.pth', *extra, '--height',
                         48, '--device', 'cpu', '--out', 'a.png',
                         cwd=annotated)
    assert result.returncode == 0, result.stderr
    figure = cv2.imread(str(annotated / 'a.png'))
    rows, columns = cells
    assert 52 * rows <= figure.shape[0] < 52 * (rows + 1)
    assert 68 * columns <= figure.shape[1] < 68 * (columns + 2)


QUERY_HOSTS = ('idol', 'seqformer')


@pytest.fixture(scope='module')
def query_weights(tmp_path_factory):
    """Random weights of the small hosts, by name."""
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    folder, made = tmp_path_factory.mktemp('weights'), {}
    for host in QUERY_HOSTS:
        cfg = MEMCNP.parents[1] / host / f'{host}-memcnp_r18_movingshapes.py'
        init_default_scope('mmdet')
        torch.manual_seed(0)
        model = MODELS.build(Config.fromfile(str(cfg)).model)
        torch.save(dict(state_dict=model.state_dict(), meta=dict(
            dataset_meta=dict(classes=('square', *CLASSES, 'a', 'b')))),
                   folder / f'{host}.pth')
        made[host] = cfg, folder / f'{host}.pth'
    return made


@pytest.mark.filterwarnings('ignore:The config names other classes')
@pytest.mark.parametrize('host, tool, extra, cells', [
    ('idol', 'visualize_uncertainty.py', ['frames', '--frames', 0, 2], (2, 4)),
    ('idol', 'visualize_memory.py', ['frames', '--topk', 3], (1, 4)),
    ('idol', 'visualize_selection.py', ['--ann-file', 'ann.json',
                                        '--img-prefix', 'frames'], (2, 3)),
    ('seqformer', 'visualize_uncertainty.py', ['frames'], (1, 4)),
    ('seqformer', 'visualize_memory.py',
     ['frames', '--topk', 2, '--level', 0, '--point', 9, 9], (1, 3)),
])
def test_figures_of_hosts_with_queries(host, tool, extra, cells, annotated,
                                       query_weights):
    result = run_program(TOOLS / tool, *query_weights[host], *extra,
                         '--height', 48, '--device', 'cpu', '--out', 'a.png',
                         cwd=annotated)
    assert result.returncode == 0, result.stderr
    figure = cv2.imread(str(annotated / 'a.png'))
    rows, columns = cells
    assert 52 * rows <= figure.shape[0] < 52 * (rows + 1)
    assert 68 * columns <= figure.shape[1] < 68 * (columns + 2)


@pytest.mark.filterwarnings('ignore:The config names other classes')
@pytest.mark.parametrize('host, tool, extra, message', [
    ('seqformer', 'visualize_selection.py', [], 'no selection in a frame'),
    ('idol', 'visualize_selection.py', ['--selections', 'FCOS'],
     '--selections of this model are SimOTA USS, got FCOS'),
    ('idol', 'visualize_memory.py', ['--level', 3], 'must lie in 0..2'),
    ('idol', 'visualize_memory.py', ['--point', 64, 0], 'outside the frame'),
    ('idol', 'visualize_memory.py', ['--topk', 0], '1..128, got 0'),
    ('idol', 'visualize_memory.py', ['--topk', 129], 'holds 128 items'),
    ('idol', 'visualize_memory.py', ['--cfg-options', 'model.memcnp=None'],
     'does not belong to IDOL'),
])
def test_what_cannot_be_drawn_is_said(host, tool, extra, message, annotated,
                                      query_weights):
    data = ['frames']
    if 'selection' in tool:
        data = ['--ann-file', 'ann.json', '--img-prefix', 'frames']
    result = run_program(TOOLS / tool, *query_weights[host], *data, *extra,
                         '--device', 'cpu', cwd=annotated)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('Error: ') and message in last
    assert 'Traceback' not in result.stderr


def test_overrides_reach_every_tool(tmp_path):
    cfg, weights = write_model(tmp_path)
    option = '--cfg-options', 'model.num_classes=3', 'model.type=Gone'
    for tool, args in (
            ('model_complexity.py', ['--no-flops']),
            ('benchmark.py', [weights, '--frames', 1, '--device', 'cpu']),
            ('visualize_detections.py', [weights, tmp_path])):
        cv2.imwrite(str(tmp_path / '0.png'), clip(1)[0])
        with pytest.raises(KeyError, match='Gone'):
            run_program(TOOLS / tool, cfg, *args, *option, cwd=tmp_path)
    report = last_json(run_program(
        TOOLS / 'benchmark.py', cfg, weights, '--frames', 1, '--warm-up', 0,
        '--device', 'cpu', '--json', '--cfg-options',
        'model.with_sigmas=False', cwd=tmp_path))
    assert report['frames'] == 1
    result = run_program(TOOLS / 'benchmark.py', cfg, '--device', 'foo',
                         cwd=tmp_path)
    assert result.returncode == 1 and "called 'foo'" in result.stderr
