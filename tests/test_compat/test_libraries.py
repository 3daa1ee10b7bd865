"""The smaller shims: box types, cross-library configs, gloo on a CPU."""
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks

from mmvis_memcnp.compat import package_utils


def test_boxes_of_masks_by_default():
    mask = np.zeros((1, 6, 8), dtype=np.uint8)
    mask[0, 1:3, 2:7] = 1
    boxes = BitmapMasks(mask, 6, 8).get_bboxes()
    assert boxes.tensor.tolist() == [[2, 1, 7, 3]]
    assert type(boxes).__name__ == 'HorizontalBoxes'


def test_cross_library_config_without_pkg_resources(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text("_base_ = ['mmdet::_base_/datasets/coco_detection.py']")
    # A fresh process in which nobody can import pkg_resources.
    code = f'''
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: (
    None if name == 'pkg_resources' else find(name, *a))
sys.modules['pkg_resources'] = None
import mmvis_memcnp
from mmengine.config import Config
print(Config.fromfile({str(config)!r}).dataset_type)
'''
    result = subprocess.run([sys.executable, '-c', code], text=True,
                            capture_output=True, env=environment())
    assert result.stdout.split()[-1:] == ['CocoDataset'], result.stderr


def test_frames_of_a_clip_are_set_without_their_text():
    """They are tensors of any size, and a GPU would have to be waited for."""
    class Loud(DetDataSample):

        def __repr__(self):
            raise AssertionError('printed')

    sample, frame = TrackDataSample(), Loud(gt=torch.ones(2))
    sample.video_data_samples = [frame, frame]
    assert sample.video_data_samples[1] is frame and len(sample) == 2
    assert len(sample.to(torch.float64)) == 2
    sample.video_data_samples = frame
    assert sample.video_data_samples == [frame]
    for wrong in ((frame, ), [torch.ones(1)]):
        with pytest.raises(AssertionError, match='must be a list'):
            sample.video_data_samples = wrong


def test_installed_path():
    import mmdet
    assert package_utils.get_installed_path('mmdet') == os.path.dirname(
        mmdet.__file__)
    assert package_utils.is_installed('mmdet')
    assert not package_utils.is_installed('no_such_package_here')
    with pytest.raises(ModuleNotFoundError, match='no_such_package_here'):
        package_utils.get_installed_path('no_such_package_here')


def environment(**extra):
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    path = os.pathsep.join([root, os.environ.get('PYTHONPATH', '')])
    return {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', **extra}


def test_encoder_points_without_a_warning():
    code = '''
import torch, mmvis_memcnp
from mmdet.models.layers import DeformableDetrTransformerEncoder as Encoder
points = Encoder.get_encoder_reference_points(
    torch.tensor([[2, 3]]), torch.ones(1, 1, 2), 'cpu')
assert points.shape == (1, 6, 1, 2)
torch.testing.assert_close(points[0, 1, 0], torch.tensor([.5, .25]))
'''
    result = subprocess.run([sys.executable, '-c', code], text=True,
                            capture_output=True, env=environment())
    assert result.returncode == 0 and 'meshgrid' not in result.stderr


WORKER = '''
import sys, torch, mmvis_memcnp
from mmengine.dist import init_dist, get_rank, get_backend
from mmengine.model import MMDistributedDataParallel
init_dist('pytorch')                      # the default backend: nccl
net = torch.nn.Linear(2, 1)
torch.nn.init.ones_(net.weight)
net = MMDistributedDataParallel(module=net, device_ids=[get_rank()])
net(torch.full((1, 2), float(get_rank() + 1))).sum().backward()
# One write, so that the two lines do not mix.
sys.stdout.write(f'{get_backend()} {net.module.weight.grad.tolist()}\\n')
torch.distributed.destroy_process_group()
'''


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without')
def test_two_processes_without_a_gpu(tmp_path):
    script = tmp_path / 'worker.py'
    script.write_text(WORKER)
    result = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2',
         '--standalone', str(script)],
        text=True, capture_output=True, env=environment(), timeout=120)
    lines = [line for line in result.stdout.splitlines() if '[[' in line]
    # The mean of the ranks' gradients, 1 and 2.
    assert lines == ['gloo [[1.5, 1.5]]'] * 2, result.stderr


def test_frames_of_a_clip_share_a_random_choice():
    from mmcv.transforms import TransformBroadcaster

    flips = [[dict(type='RandomFlip', prob=p)] for p in (0., 1.)]
    same = TransformBroadcaster(
        transforms=[dict(type='RandomChoice', transforms=flips)],
        share_random_params=True)
    seen = set()
    for seed in range(20):
        np.random.seed(seed)
        frames = [np.zeros((4, 6, 3), np.uint8) for _ in range(3)]
        result = same(dict(img=frames, img_shape=[(4, 6)] * 3))
        assert len(set(result['flip'])) == 1
        seen.add(result['flip'][0])
    assert seen == {True, False}
