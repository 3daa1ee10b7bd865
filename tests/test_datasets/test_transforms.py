import cv2
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmengine.dataset import Compose

from mmvis_memcnp.datasets import LoadFrame, LoadVISAnnotations
from mmvis_memcnp.images import is_cut_off

from .rectangles import box_mask, compressed


@pytest.fixture
def photo(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    path = tmp_path / 'a.jpg'
    cv2.imwrite(str(path), image)
    return path


def test_a_frame(photo):
    out = LoadFrame()(dict(img_path=str(photo), height=40, width=60))
    np.testing.assert_array_equal(out['img'], cv2.imread(str(photo)))
    assert out['img_shape'] == out['ori_shape'] == (40, 60)


def test_a_missing_frame_is_named(tmp_path):
    path = str(tmp_path / 'none.jpg')
    with pytest.raises(FileNotFoundError, match='none.jpg does not exist'):
        LoadFrame()(dict(img_path=path))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0, 0.5, 0.95])
def test_a_cut_off_frame_is_named(photo, tmp_path, suffix, share):
    whole = cv2.imencode(suffix, cv2.imread(str(photo)))[1].tobytes()
    path = tmp_path / f'cut{suffix}'
    path.write_bytes(whole[:int(share * len(whole))])
    with pytest.raises(ValueError, match=f'cut{suffix} is cut off'):
        LoadFrame()(dict(img_path=str(path)))


def test_bytes_after_the_end_are_fine(photo):
    data = photo.read_bytes()
    assert not is_cut_off(data)
    assert not is_cut_off(data + b'\0\0')
    assert not is_cut_off(data + b'camera maker')
    assert is_cut_off(data[:-200])


def test_no_image(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_text('text')
    with pytest.raises(ValueError, match='a.jpg is not a readable image'):
        LoadFrame()(dict(img_path=str(path)))


def test_another_size_than_in_the_json(photo):
    with pytest.raises(ValueError, match='60x40 pixels.*json says 30x20'):
        LoadFrame()(dict(img_path=str(photo), height=20, width=30))


def test_objects():
    objects = [
        dict(bbox=[1, 2, 4, 6], bbox_label=1, instance_id=2**40,
             ignore_flag=0, mask=compressed(box_mask(1, 2, 3, 4))),
        dict(bbox=[0, 0, 2, 2], bbox_label=0, instance_id=7, ignore_flag=1,
             mask=compressed(box_mask(0, 0, 2, 2)))
    ]
    out = LoadVISAnnotations()(dict(instances=objects, height=8, width=12))
    assert out['gt_instances_ids'].tolist() == [2**40, 7]
    assert out['gt_bboxes_labels'].tolist() == [1, 0]
    assert out['gt_ignore_flags'].tolist() == [False, True]
    assert out['gt_bboxes'].dtype == np.float32
    np.testing.assert_array_equal(
        out['gt_masks'].masks,
        np.stack([box_mask(1, 2, 3, 4), box_mask(0, 0, 2, 2)]))


def test_no_object():
    out = LoadVISAnnotations()(dict(instances=[], height=8, width=12))
    assert out['gt_bboxes'].shape == (0, 4)
    assert out['gt_masks'].masks.shape == (0, 8, 12)


def clip_of(photo, num_frames):
    one = dict(bbox=[6., 4., 30., 20.], bbox_label=0, instance_id=1,
               ignore_flag=0,
               mask=compressed(box_mask(6, 4, 24, 16, 40, 60)))
    return dict(
        img_path=[str(photo)] * num_frames,
        height=[40] * num_frames,
        width=[60] * num_frames,
        instances=[[one]] * num_frames)


AUGMENT = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(type='RandomResize', scale=[(60, 30), (120, 90)],
                 keep_ratio=True),
            dict(type='RandomFlip', prob=0.5)
        ])
]


def test_the_frames_of_a_clip_share_scale_and_flip(photo):
    np.random.seed(0)
    pipeline = Compose(AUGMENT)
    flips, scales = [], []
    for _ in range(30):
        out = pipeline(clip_of(photo, 3))
        assert len(set(out['flip'])) == len(set(out['scale'])) == 1
        for key in ('img', 'gt_bboxes'):
            np.testing.assert_array_equal(out[key][0], out[key][2])
        np.testing.assert_array_equal(out['gt_masks'][0].masks,
                                      out['gt_masks'][2].masks)
        flips.append(out['flip'][0])
        scales.append(out['scale'][0])
        # The mask moves with its box: both are flipped and scaled.
        rows, columns = np.nonzero(out['gt_masks'][0].masks[0])
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, out['gt_bboxes'][0][0], atol=1)
    assert 5 < sum(flips) < 25
    assert len(set(scales)) > 20


def test_long_and_short_side_are_drawn_apart():
    np.random.seed(0)
    resize = TRANSFORMS.build(
        dict(type='RandomResize', scale=[(640, 360), (960, 480)],
             keep_ratio=True))
    drawn = np.array([resize._random_scale() for _ in range(3000)])
    assert drawn.min(0).tolist() == [640, 360]
    assert drawn.max(0).tolist() == [960, 480]
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.06
