"""Still images that move: where pixels, masks and identities go."""
import cv2
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from pycocotools import mask as mask_utils

from mmvis_memcnp.datasets.transforms import (
    ClipCrop,
    ClipPaste,
    ClipRotation,
)
from mmvis_memcnp.datasets.transforms.pseudo_motion import moments

HEIGHT, WIDTH, FRAMES = 60, 90, 5
#: Identity, label, x1, y1, x2, y2.
OBJECTS = [(4, 1, 10, 12, 40, 44), (9, 0, 60, 20, 84, 52)]


def clip(objects=OBJECTS, frames=FRAMES, height=HEIGHT, width=WIDTH):
    """Objects of one colour each on black, as a broadcaster leaves them."""
    img = np.zeros((height, width, 3), np.uint8)
    masks = np.zeros((len(objects), height, width), np.uint8)
    for mask, (number, _, x1, y1, x2, y2) in zip(masks, objects, strict=True):
        mask[y1:y2, x1:x2] = 1
        img[y1:y2, x1:x2] = 20 * number + 30
    table = np.array(objects).reshape(-1, 6)
    return dict(
        img=[img.copy() for _ in range(frames)],
        img_shape=[(height, width)] * frames,
        gt_masks=[BitmapMasks(masks.copy(), height, width)
                  for _ in range(frames)],
        gt_bboxes=[table[:, 2:].astype(np.float32) for _ in range(frames)],
        gt_bboxes_labels=[table[:, 1].copy() for _ in range(frames)],
        gt_instances_ids=[table[:, 0].copy() for _ in range(frames)],
        gt_ignore_flags=[np.zeros(len(table), bool) for _ in range(frames)])


def inside(mask):
    """Without the edge, where colours are mixed."""
    return cv2.erode(mask, np.ones((9, 9)), borderType=cv2.BORDER_CONSTANT,
                     borderValue=0).astype(bool)


def consistent(results):
    """Colours, masks, boxes and identities of every frame fit."""
    for t, img in enumerate(results['img']):
        masks = results['gt_masks'][t].masks
        boxes = results['gt_bboxes'][t]
        ids = results['gt_instances_ids'][t]
        assert img.shape[:2] == results['img_shape'][t] == masks.shape[1:]
        assert len(masks) == len(boxes) == len(ids)
        assert len(results['gt_bboxes_labels'][t]) == len(ids)
        assert len(results['gt_ignore_flags'][t]) == len(ids)
        assert (masks.sum(0) <= 1).all()
        for mask, box, one in zip(masks, boxes, ids.tolist(), strict=True):
            ys, xs = mask.nonzero()
            assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1,
                                    ys.max() + 1]
            assert (img[inside(mask)] == 20 * one + 30).all()


def centres(results, identity):
    """Middle of an object's box in the frames that have it."""
    return [(t, *((box[:2] + box[2:]) / 2)) for t, boxes in enumerate(
        results['gt_bboxes']) for box, one in zip(
            boxes, results['gt_instances_ids'][t].tolist(),
            strict=True) if one == identity]


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('motion', [
    ClipRotation(), ClipRotation(max_angle=90.),
    ClipCrop(crop_size=(20, 40), zoom_prob=0.),
    ClipCrop(crop_size=(20, 40), zoom_prob=1., max_zoom=3.)])
def test_all_that_is_said_of_a_frame_moves_together(motion, seed):
    np.random.seed(seed)
    results = motion.transform(clip())
    consistent(results)
    assert len({img.tobytes() for img in results['img']}) > 1


def test_rotation_turns_one_way_about_one_centre():
    """A spot far from the centre keeps its distance and goes on."""
    np.random.seed(1)
    motion = ClipRotation(max_angle=15., centre=(.5, .5))
    results = motion.transform(clip([(4, 1, 80, 28, 84, 32)]))
    places = np.array([c[1:] for c in centres(results, 4)]) - (45., 30.)
    angles = np.degrees(np.arctan2(places[:, 1], places[:, 0]))
    assert abs(np.hypot(*places.T) - 37.).max() < 1.5
    steps = np.diff(angles)
    assert (steps > -1).all() or (steps < 1).all()
    assert 3 < abs(angles).max() < 17
    still = ClipRotation(max_angle=0.).transform(clip())
    assert (still['img'][0] == clip()['img'][0]).all()


def test_shift_moves_a_window_of_one_size_pixel_by_pixel():
    np.random.seed(3)
    before = clip()['img'][0]
    results = ClipCrop((30, 50), zoom_prob=0.).transform(clip())
    corners = []
    for img in results['img']:
        h, w = img.shape[:2]
        assert img.shape == results['img'][0].shape and 30 <= h <= 50
        where = [(y, x) for y in range(HEIGHT - h + 1)
                 for x in range(WIDTH - w + 1)
                 if (before[y:y + h, x:x + w] == img).all()]
        assert where, 'no window of the image'
        corners.append(where[0])
    assert len(set(corners)) > 2


def test_zoom_changes_the_size_of_objects_one_way():
    np.random.seed(0)
    results = ClipCrop((40, 60), zoom_prob=1., max_zoom=2.).transform(
        clip([(4, 1, 30, 20, 50, 40)]))
    sizes = [b[0] for b in results['gt_bboxes'] if len(b)]
    widths = np.array([b[2] - b[0] for b in sizes
                       if 0 < b[0] and b[2] < results['img'][0].shape[1]])
    assert len(widths) > 2 and widths.max() > widths.min() + 2
    steps = np.diff(widths)
    assert (steps >= -1).all() or (steps <= 1).all()
    assert 18 <= widths.min() and widths.max() <= 42


def test_windows_are_no_larger_than_the_frame():
    for seed in range(10):
        np.random.seed(seed)
        results = ClipCrop().transform(clip())
        assert results['img'][0].shape[:2] == (HEIGHT, WIDTH)


def test_who_leaves_the_window_is_gone_and_comes_back():
    """Objects without a pixel in a frame are not there; the others stay."""
    seen = set()
    for seed in range(30):
        np.random.seed(seed)
        results = ClipCrop((20, 24), zoom_prob=0.).transform(clip())
        consistent(results)
        seen |= {tuple(ids.tolist()) for ids in results['gt_instances_ids']}
    assert {(), (4, ), (9, )} <= seen


def test_moments_go_one_way():
    both = set()
    for seed in range(8):
        np.random.seed(seed)
        times = moments(6)
        assert ((0 <= times) & (times < 1)).all()
        steps = np.diff(times)
        assert (steps > 0).all() or (steps < 0).all()
        both.add(bool(steps[0] > 0))
    assert both == {True, False}


# -- copy and paste -----------------------------------------------------------
@pytest.fixture
def other(tmp_path):
    """An image with two objects of one colour, which become 10 and 11: the
    identities of the clip end with 9."""
    init_default_scope('mmdet')
    height, width = 40, 60
    img = np.full((height, width, 3), 7, np.uint8)
    boxes = [(4, 4, 24, 20), (30, 10, 50, 34)]
    instances = []
    for label, (x1, y1, x2, y2) in enumerate(boxes):
        mask = np.zeros((height, width), np.uint8, order='F')
        mask[y1:y2, x1:x2] = 1
        img[y1:y2, x1:x2] = 230
        instances.append(dict(
            bbox=[x1, y1, x2, y2], bbox_label=label + 5, instance_id=label,
            ignore_flag=0, mask=mask_utils.encode(mask)))
    path = tmp_path / 'other.png'
    cv2.imwrite(str(path), img)
    return dict(img_path=str(path), height=height, width=width,
                instances=instances)


def pasted(other, seed, prob=1.):
    np.random.seed(seed)
    return ClipPaste(prob=prob, scale=(.6, .6)).transform(
        dict(clip(), paste=[other] * FRAMES))


def test_pasted_objects_move_on_their_own(other):
    counts = set()
    for seed in range(8):
        results = pasted(other, seed)
        assert 'paste' not in results
        new = sorted({i for ids in results['gt_instances_ids']
                      for i in ids.tolist()} - {4, 9})
        counts.add(len(new))
        assert new == list(range(10, 10 + len(new))) != []
        for t, ids in enumerate(results['gt_instances_ids']):
            masks = results['gt_masks'][t].masks
            assert (masks.sum(0) <= 1).all()
            for mask, one, label in zip(
                    masks, ids.tolist(), results['gt_bboxes_labels'][t],
                    strict=True):
                if one >= 10:
                    assert label in (5, 6)
                    assert (results['img'][t][inside(mask)] == 230).all()
                else:  # who was there keeps its colour where it is seen
                    assert (results['img'][t][mask.astype(bool)] ==
                            20 * one + 30).all()
        ways = [centres(results, i) for i in new]
        assert all(len({c[1:] for c in way}) > 2 for way in ways)
    assert counts == {1, 2}


def test_who_is_covered_is_gone(other):
    """The image is small: what is pasted over it hides an object at times."""
    tiny = [(4, 1, 40, 28, 42, 30)]
    gone = False
    for seed in range(40):
        np.random.seed(seed)
        results = ClipPaste(prob=1., scale=(1., 1.)).transform(
            dict(clip(tiny), paste=[other] * FRAMES))
        present = [4 in ids.tolist() for ids in results['gt_instances_ids']]
        gone |= not all(present)
        assert all(len(ids) for ids in results['gt_instances_ids'])
    assert gone


def test_nothing_is_pasted(other):
    before = clip()
    results = pasted(other, 0, prob=0.)
    assert all((a == b).all() for a, b in zip(
        results['img'], before['img'], strict=True))
    other['instances'] = []
    assert len(pasted(other, 0)['gt_instances_ids'][0]) == 2


def test_refusals():
    with pytest.raises(ValueError, match='max_zoom'):
        ClipCrop(max_zoom=.5)
    with pytest.raises(ValueError, match='paste=True'):
        ClipPaste().transform(clip())
