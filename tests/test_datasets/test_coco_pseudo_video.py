"""Clips made of COCO's still images."""
import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS

from mmvis_memcnp.datasets import coco_pseudo_video, sync_classes
from mmvis_memcnp.datasets.classes import OVIS, dataset_classes
from mmvis_memcnp.datasets.coco_classes import (
    CLASS_MAPS,
    COCO,
    TARGET_CLASSES,
)
from mmvis_memcnp.engine.samplers import ResumableSampler
from mmvis_memcnp.engine.seeding import SeededDataset

HEIGHT, WIDTH = 40, 60
IDS = {'person': 1, 'car': 3, 'motorcycle': 4, 'mouse': 74}

PIPELINE = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='Rotate', prob=1., max_mag=20.),
            dict(type='RandomCrop', crop_size=(50, 30), recompute_bbox=True,
                 allow_negative_crop=True),
        ]),
    dict(type='PackTrackInputs'),
]


def polygon(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def annotation(id, image, name, box, **fields):
    return dict(id=id, image_id=image, category_id=IDS[name], iscrowd=0,
                bbox=list(box), area=box[2] * box[3],
                segmentation=polygon(*box)) | fields


@pytest.fixture
def coco(tmp_path):
    """Image 9: car, crowd, person; 4: nothing; 2: motorcycle; 7: mouse."""
    crowd = dict(size=[HEIGHT, WIDTH], counts=[10, 50, HEIGHT * WIDTH - 60])
    data = dict(
        images=[
            dict(id=i, file_name=f'{i:012d}.png', height=HEIGHT, width=WIDTH)
            for i in (9, 4, 2, 7)
        ],
        categories=[dict(id=i, name=n) for n, i in IDS.items()],
        annotations=[
            annotation(100, 9, 'car', (5, 6, 20, 10)),
            annotation(900, 9, 'person', (0, 0, 2, 25), iscrowd=1,
                       segmentation=crowd),
            annotation(50, 9, 'person', (30, 10, 12, 8)),
            annotation(51, 9, 'person', (30, 10, 0.5, 8)),
            annotation(7, 2, 'motorcycle', (1, 1, 9, 9)),
            annotation(8, 7, 'mouse', (1, 1, 9, 9)),
        ])

    def make(**options):
        (tmp_path / 'coco.json').write_text(json.dumps(data))
        for image in data['images']:
            cv2.imwrite(
                str(tmp_path / image['file_name']),
                np.random.default_rng(0).integers(
                    0, 255, (HEIGHT, WIDTH, 3), np.uint8))
        return DATASETS.build(
            dict(type='CocoPseudoVideo', data_root=str(tmp_path),
                 ann_file='coco.json', data_prefix=dict(img_path=''),
                 **options))

    make.data = data
    make.folder = tmp_path
    return make


# -- maps -----------------------------------------------------------------
@pytest.mark.parametrize('name', CLASS_MAPS)
def test_maps_name_classes_of_both_sides(name):
    assert len(COCO) == len(set(COCO)) == 80
    assert set(CLASS_MAPS[name]) <= set(COCO)
    assert set(CLASS_MAPS[name].values()) <= set(TARGET_CLASSES[name])


@pytest.mark.parametrize('name, coco_name, expected', [
    ('ytvis2019', 'car', 'sedan'), ('ytvis2019', 'mouse', None),
    ('ytvis2019', 'motorcycle', 'motorbike'), ('ytvis2019', 'bicycle', None),
    ('ytvis2021', 'car', 'car'), ('ytvis2021', 'bird', 'bird'),
    ('ytvis2021', 'frisbee', 'flying_disc'), ('ytvis2021', 'mouse', None),
    ('ovis', 'motorcycle', 'Motorcycle'), ('ovis', 'airplane', 'Airplane'),
    ('ovis', 'boat', 'Boat'), ('ovis', 'truck', 'Vehical'),
    ('ovis', 'bird', 'Bird'), (None, 'hot dog', 'hot dog'),
])
def test_what_released_maps_confuse(name, coco_name, expected):
    assert CLASS_MAPS[name].get(coco_name) == expected


# -- reading --------------------------------------------------------------
def test_one_clip_an_image_with_objects(coco):
    data = coco(class_map='ovis', num_frames=3)
    assert [v['video_id'] for v in data.videos] == [9, 2]
    assert len(data) == 2 and data.num_frames(0) == 3
    clip = data[0]
    assert clip['frame_id'] == [0, 1, 2]
    assert clip['img_id'] == [0, 1, 2] and data[1]['img_id'] == [3, 4, 5]
    assert clip['key_frame_flags'] == [True, False, False]
    assert clip['video_id'] == [9] * 3 and clip['video_length'] == [3] * 3
    names = [[OVIS[i['bbox_label']] for i in f] for f in clip['instances']]
    assert names == [['Vehical', 'Person']] * 3
    # The order of the annotations; the crowd between them has its place.
    assert [i['instance_id'] for i in clip['instances'][2]] == [0, 2]
    assert clip['instances'][0][0]['bbox'] == [5, 6, 25, 16]
    assert data.get_cat_ids(0) == [24, 0]


def test_all_classes_of_coco(coco):
    data = coco()
    assert data.metainfo['classes'] == COCO
    assert [v['video_id'] for v in data.videos] == [9, 2, 7]


def test_samplers_of_videos_serve_images(coco):
    pair = coco(clip_sampler=dict(type='KeyRefSampler', frame_range=None))[0]
    assert pair['frame_id'] == [0, 1]
    assert pair['key_frame_flags'] == [True, False]
    one = coco(clip_sampler=dict(type='ClipSampler', num_frames=1),
               num_frames=1)[0]
    assert one['key_frame_flags'] == [True]
    four = coco(num_frames=5,
                clip_sampler=dict(type='ClipSampler', num_frames=4))[1]
    assert len(four['img_path']) == 4 and sum(four['key_frame_flags']) == 1


def test_frames_are_changed_each_on_its_own(coco):
    data = coco(class_map='ytvis2021', num_frames=2, pipeline=PIPELINE)
    np.random.seed(0)
    flips = set()
    for _ in range(8):
        packed = data[0]
        sample = packed['data_samples']
        key, ref = sample.video_data_samples
        flips.add((key.flip, ref.flip))
        assert not torch.equal(*packed['inputs'])
        assert {0, 2} >= set(key.gt_instances.instances_ids.tolist())
    assert len(flips) == 4
    assert packed['inputs'].shape == (2, 3, 30, 50)
    assert sample.key_frames_inds == [0] and sample.ref_frames_inds == [1]
    masks = key.gt_instances.masks.masks
    assert masks.shape == (len(key.gt_instances), 30, 50)
    # Tight boxes of the turned and cut masks.
    box = key.gt_instances.bboxes[0].tolist()
    rows, columns = masks[0].nonzero()
    assert box == [columns.min(), rows.min(), columns.max() + 1,
                   rows.max() + 1]


def test_a_mask_without_a_pixel_is_no_object(coco):
    coco.data['annotations'][0]['segmentation'] = dict(
        size=[HEIGHT, WIDTH], counts=[HEIGHT * WIDTH])
    clip = coco()[0]
    assert [i['instance_id'] for i in clip['instances'][0]] == [2]


def test_objects_without_area_are_left_out_and_counted(coco, monkeypatch):
    said = []
    monkeypatch.setattr(coco_pseudo_video, 'print_log',
                        lambda text, *_: said.append(text))
    coco.data['annotations'][0]['segmentation'] = [[5, 6, 25, 16], []]
    clip = coco()[0]
    assert [i['instance_id'] for i in clip['instances'][0]] == [2]
    assert [text.partition(': ')[2] for text in said] == [
        '1 objects without a mask, or whose box is less than a pixel wide or '
        'high, are left out.',
        '1 objects without a polygon of three points are left out.']


def test_own_classes_are_known_by_their_names(coco, monkeypatch):
    """Also those that COCO does not have; what is left out is said."""
    said = []
    monkeypatch.setattr(coco_pseudo_video, 'print_log',
                        lambda text, *_: said.append(text))
    coco.data['categories'][1]['name'] = 'hand'  # the car
    data = coco(metainfo=dict(classes=('person', 'hand')))
    assert [i['bbox_label'] for i in data[0]['instances'][0]] == [1, 0]
    assert [v['video_id'] for v in data.videos] == [9]
    assert "objects of 'motorcycle', 'mouse' are left out" in said[0]
    with pytest.raises(ValueError, match=(
            "all but the classes 'cup' .*categories are 'person', 'hand', 'mo"
            )):
        coco(metainfo=dict(classes=('cup', )))


def test_a_box_that_is_missing_is_that_of_the_mask(coco):
    del coco.data['annotations'][0]['bbox']
    first, _ = coco()[0]['instances'][0]
    assert first['bbox'] == [5, 6, 25, 16]


@pytest.mark.parametrize('options, message', [
    (dict(class_map='ytvis'), "class_map of CocoPseudoVideo is 'ytvis'; use"),
    (dict(num_frames=0), 'at least 1 frame'),
    (dict(test_mode=True), 'take test_mode out'),
])
def test_impossible_settings(coco, options, message):
    with pytest.raises(ValueError, match=message):
        coco(**options)


def test_files_of_another_kind_are_named(coco):
    coco.data['videos'] = []
    with pytest.raises(ValueError, match='converted by mmdet'):
        coco()
    del coco.data['videos']
    coco.data['annotations'] = []
    with pytest.raises(ValueError, match='no object to train on'):
        coco()


def test_a_bad_mask_is_named(coco):
    coco.data['annotations'][4]['segmentation'] = dict(
        size=[1, 2], counts=[2])
    with pytest.raises(ValueError, match='object 0 of image 2 .* has the si'):
        coco()[1]


def test_a_broken_json_is_named(coco, tmp_path):
    coco()
    (tmp_path / 'coco.json').write_text('{"images": [')
    with pytest.raises(ValueError, match='coco.json is not a readable json'):
        DATASETS.build(joint(coco)['datasets'][0])


# -- with videos ----------------------------------------------------------
def joint(coco, images=1, videos=1):
    """COCO beside a copy of itself under the same classes."""
    member = dict(type='CocoPseudoVideo', data_root=str(coco.folder),
                  ann_file='coco.json', data_prefix=dict(img_path=''),
                  class_map='ovis')
    return dict(type='ConcatDataset',
                datasets=[dict(member, indices=images),
                          dict(member, indices=videos)])


def test_the_class_map_says_how_many_classes_a_model_has(coco):
    member = joint(coco)['datasets'][0]
    assert dataset_classes(joint(coco)) == OVIS
    cfg = dict(train_dataloader=dict(dataset=joint(coco)),
               val_dataloader=dict(dataset=dict(type='OVIS')),
               model=dict(num_classes=40))
    assert len(sync_classes(cfg)) == cfg['model']['num_classes'] == 25
    assert dataset_classes(dict(member, class_map=None)) == COCO


def test_joins_video_data_under_the_same_classes(coco, tiny, write):
    coco()
    tiny['categories'] = [dict(id=20, name='Person'), dict(id=5, name='Cat')]
    videos = dict(write(tiny), type='OVIS',
                  clip_sampler=dict(type='KeyRefSampler'))
    del videos['metainfo']
    both = DATASETS.build(dict(type='ConcatDataset', datasets=[
        joint(coco)['datasets'][0], videos]))
    assert both.metainfo['classes'] == OVIS
    seeded = SeededDataset(both)
    sampler = ResumableSampler(seeded, seed=3, ratios=(2, 1))
    seen = [seeded[i] for i in sampler]
    assert len(seen) == len(both) == 4
    assert sum(s['video_id'][0] == 9 for s in seen) == 3
    for clip in seen:
        assert clip.keys() == seen[0].keys() and len(clip['img_path']) == 2


class Members:
    cumulative_sizes = [5, 15]

    def __len__(self):
        return 15


def epochs(count, **options):
    sampler = ResumableSampler(Members(), seed=1, **options)
    found = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        found.append([int(i) for i in sampler])
    return found


def test_ratios_are_those_of_every_epoch():
    found = epochs(4, ratios=(2, 1))
    for epoch in found:
        assert sum(i < 5 for i in epoch) == 10 and len(epoch) == 15
    # Twice the small member an epoch, the large one once in two epochs.
    assert sorted(i for i in found[0] if i < 5) == sorted([*range(5)] * 2)
    large = [i for epoch in found[:2] for i in epoch if i >= 5]
    assert sorted(large) == list(range(5, 15))
    assert found[0] != found[1]


def test_ratios_keep_the_stream_reachable_anywhere():
    whole = ResumableSampler(Members(), seed=1, ratios=(1, 3), infinite=True)
    stream = iter(whole)
    first = [int(next(stream)) for _ in range(50)]
    late = ResumableSampler(Members(), seed=1, ratios=(1, 3), infinite=True)
    late.seek(33)
    stream = iter(late)
    assert [int(next(stream)) for _ in range(17)] == first[33:]


def test_without_ratios_nothing_changes():
    assert epochs(1)[0] != list(range(15))
    assert sorted(epochs(1)[0]) == list(range(15))
    plain = ResumableSampler(range(15), seed=1)
    assert [int(i) for i in plain] == epochs(1)[0]


@pytest.mark.parametrize('ratios', [(1, ), (1, 2, 3), (1, 0), (1, -1)])
def test_ratios_must_fit_the_members(ratios):
    with pytest.raises(Exception, match='The sampler has the ratios'):
        ResumableSampler(Members(), ratios=ratios)
    with pytest.raises(Exception, match='no members'):
        ResumableSampler(torch.utils.data.TensorDataset(torch.zeros(3)),
                         ratios=(1, ))
