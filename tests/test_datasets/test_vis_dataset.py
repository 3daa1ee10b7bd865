import numpy as np
import pytest
from mmdet.registry import DATASETS

from mmvis_memcnp.datasets import (
    OVIS,
    KeyRefSampler,
    VISDataset,
    YouTubeVIS2021,
)
from mmvis_memcnp.datasets.classes import YOUTUBE_VIS_2019

from .rectangles import track


def raw(results):
    """A pipeline that hands over what it gets."""
    return dict(results)


def build(arguments, **more):
    return VISDataset(**(arguments | dict(pipeline=[raw]) | more))


def test_items_are_annotated_frames(tiny, write):
    dataset = build(write(tiny))
    # Frame 1 of the first video has no object.
    assert len(dataset) == 3
    served = [dataset[i] for i in range(3)]
    assert [(s['video_id'], s['frame_id']) for s in served] == [
        ([7], [0]), ([7], [2]), ([3], [0])]
    assert served[1]['img_path'][0].endswith('img/x/00010.jpg')
    assert served[1]['video_length'] == [3]
    assert [s['img_id'] for s in served] == [[0], [2], [3]]


def test_labels_follow_the_config_and_ids_the_json(tiny, write):
    dataset = build(write(tiny))
    assert dataset.cat_ids == [5, 20]
    assert dataset.metainfo['classes'] == ('a', 'b')
    objects = dataset[0]['instances'][0]
    assert [o['bbox_label'] for o in objects] == [1, 0]
    assert [o['instance_id'] for o in objects] == [11, 42]
    assert objects[0]['bbox'] == [1, 2, 4, 6]
    assert dataset.get_cat_ids(0) == [1, 0]
    assert dataset.get_cat_ids((1, 0)) == [0]
    turned = build(write(tiny), metainfo=dict(classes=['b', 'a']))
    assert turned.cat_ids == [20, 5]
    assert [o['bbox_label'] for o in turned[0]['instances'][0]] == [0, 1]


def test_videos(tiny, write):
    dataset = build(write(tiny))
    assert [v['video_id'] for v in dataset.videos] == [7, 3]
    assert dataset.videos[0]['file_names'][1] == 'x/00005.jpg'
    assert [dataset.num_frames(i) for i in (0, 1)] == [3, 1]


def test_test_mode_serves_every_frame_alone(tiny, write):
    dataset = build(
        write(tiny),
        test_mode=True,
        clip_sampler=dict(type='KeyRefSampler', frame_range=5))
    assert len(dataset) == 4
    assert [dataset[i]['frame_id'] for i in range(4)] == [[0], [1], [2], [0]]
    item = dataset[0, 1]
    assert item['frame_id'] == [1] and item['instances'] == [[]]
    assert item['key_frame_flags'] == [True]


def test_an_unknown_frame_is_an_error(tiny, write):
    with pytest.raises(IndexError, match='Video 1 has 1 frames.*no frame 4'):
        build(write(tiny), test_mode=True)[1, 4]


def test_clips(tiny, write):
    dataset = build(write(tiny), clip_sampler=dict(type='KeyRefSampler'))
    assert isinstance(dataset.clip_sampler, KeyRefSampler)
    item = dataset[0]
    assert item['frame_id'] == [0, 2]
    assert item['key_frame_flags'] == [True, False]
    one_frame = dataset[2]
    assert one_frame['frame_id'] == [0, 0]
    # Two frames, not one twice: a transform may change one of them.
    assert one_frame['instances'][0] is not one_frame['instances'][1]


def test_crowds_are_left_out_of_training_only(tiny, write):
    tiny['annotations'][0]['iscrowd'] = 1
    arguments = write(tiny)
    dataset = build(arguments)
    assert [o['instance_id'] for o in dataset[0]['instances'][0]] == [42]
    assert len(dataset) == 2
    tested = build(arguments, test_mode=True)
    flags = [(o['instance_id'], o['ignore_flag'])
             for o in tested[0, 0]['instances'][0]]
    assert flags == [(11, 1), (42, 0)]


@pytest.mark.parametrize('annotations', [None, [], 'missing'])
def test_without_annotations_test_only(tiny, write, annotations):
    tiny['annotations'] = annotations
    if annotations == 'missing':
        del tiny['annotations']
    arguments = write(tiny)
    assert len(build(arguments, test_mode=True)) == 4
    with pytest.raises(ValueError, match='no annotations, like the released'):
        build(arguments)


def test_nothing_to_train_on(tiny, write):
    tiny['annotations'] = [track(1, 7, 5, [None, None, None])]
    with pytest.raises(ValueError, match='every track is empty or crowd'):
        build(write(tiny))


def test_no_video(tiny, write):
    tiny['videos'], tiny['annotations'] = [], []
    with pytest.raises(ValueError, match='no video with a frame'):
        build(write(tiny), test_mode=True)


def test_an_unknown_category_is_named(tiny, write):
    tiny['categories'].append(dict(id=6, name='zebu'))
    with pytest.raises(
            ValueError, match="'zebu' .*among the 2 classes.*metainfo="):
        build(write(tiny))


def test_the_list_of_another_data_set_is_recognised(tiny, write):
    tiny['categories'] = [
        dict(id=i + 1, name=name) for i, name in enumerate(YOUTUBE_VIS_2019)
    ]
    arguments = write(tiny)
    del arguments['metainfo']
    with pytest.raises(
            ValueError, match="'sedan'.*that of YouTubeVIS2019"):
        YouTubeVIS2021(**arguments)


def test_a_class_that_the_json_lacks(tiny, write):
    dataset = build(write(tiny), metainfo=dict(classes=('c', 'b', 'a')))
    assert dataset.cat_ids == [-1, 20, 5]


def test_the_json_has_a_class_list(tiny, write):
    """Labels are then the order of its ids: 'a' is 5 and 'b' is 20."""
    arguments = write(tiny)
    del arguments['metainfo']
    dataset = VISDataset(**arguments)
    assert dataset.metainfo['classes'] == ('a', 'b')
    assert dataset.cat_ids == [5, 20]
    assert VISDataset.classes_of(arguments) == ('a', 'b')
    tiny['categories'] = tiny['annotations'] = []
    with pytest.raises(ValueError, match='has no categories'):
        VISDataset(**write(tiny) | dict(metainfo={}))


def test_ovis_takes_both_spellings(tiny, write):
    tiny['categories'] = [dict(id=20, name='Vehicle'),
                          dict(id=5, name='Person')]
    arguments = write(tiny)
    del arguments['metainfo']
    dataset = OVIS(**arguments)
    assert dataset.cat_ids[24] == 20 and dataset.cat_ids[0] == 5


def test_a_choice_of_videos(tiny, write):
    arguments = write(tiny)
    assert [v['video_id'] for v in build(arguments, indices=1).videos] == [7]
    dataset = build(arguments, indices=[1])
    assert [v['video_id'] for v in dataset.videos] == [3]
    assert len(dataset) == 1 and dataset[0]['frame_id'] == [0]


@pytest.mark.parametrize('share, frames', [
    (1., [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    (.5, [1, 3, 5, 7, 9]),      # spread over the video
    (.2, [2, 7]),
    (.01, [5]),                 # each video keeps one
])
def test_a_share_of_the_frames(tiny, write, share, frames):
    tiny['videos'][0].update(length=12, file_names=[
        f'x/{i:05d}.jpg' for i in range(12)])
    # the last two frames have no object
    tiny['annotations'] = [
        track(11, 7, 20, [(1, 2, 3, 4)] * 10 + [None] * 2),
        track(43, 3, 5, [(0, 0, 4, 4)])]
    arguments = write(tiny)
    dataset = build(arguments, frame_share=share, clip_sampler=dict(
        type='ClipSampler', num_frames=3, frame_range=0))
    clips = [dataset[i] for i in range(len(dataset))]
    assert [c['frame_id'] for c in clips if c['video_id'][0] == 7] == [
        [frame] * 3 for frame in frames]
    assert [c['frame_id'] for c in clips if c['video_id'][0] == 3] == [[0] * 3]
    near = build(arguments, frame_share=share, clip_sampler=dict(
        type='ClipSampler', num_frames=4))
    assert {f for i in range(len(near) - 1) for f in near[i]['frame_id']} <= {
        *frames}
    tested = build(arguments, frame_share=share, test_mode=True)
    assert len(tested) == 13


@pytest.mark.parametrize('share', [0., -.5, 1.5])
def test_a_wrong_share(tiny, write, share):
    with pytest.raises(ValueError, match=f'frame_share is {share}; it must'):
        build(write(tiny), frame_share=share)


def test_portrait_and_landscape(tiny, write):
    tiny['videos'][1].update(height=12, width=8)
    tiny['annotations'].pop()
    tiny['annotations'].append(
        track(43, 3, 5, [None],
              segmentations=[[[0, 0, 4, 0, 4, 12, 0, 12]]],
              bboxes=[[0, 0, 4, 12]]))
    item = build(write(tiny))[2]
    assert (item['height'], item['width']) == ([12], [8])
    assert item['instances'][0][0]['mask']['size'] == [12, 8]


def test_whole_pipeline(tiny, write):
    pipeline = [
        dict(
            type='TransformBroadcaster',
            transforms=[dict(type='LoadFrame'),
                        dict(type='LoadVISAnnotations'),
                        dict(type='Resize', scale=(24, 16), keep_ratio=True)]),
        dict(type='PackTrackInputs')
    ]
    dataset = DATASETS.build(
        dict(
            type='VISDataset',
            clip_sampler=dict(type='KeyRefSampler'),
            **write(tiny) | dict(pipeline=pipeline)))
    item = dataset[0]
    assert tuple(item['inputs'].shape) == (2, 3, 16, 24)
    sample = item['data_samples']
    assert sample.key_frames_inds == [0] and sample.ref_frames_inds == [1]
    key, reference = sample.video_data_samples
    assert key.gt_instances.instances_ids.tolist() == [11, 42]
    assert reference.gt_instances.instances_ids.tolist() == [11]
    assert key.gt_instances.labels.tolist() == [1, 0]
    assert str(key.gt_instances.labels.dtype) == 'torch.int64'
    np.testing.assert_allclose(key.gt_instances.bboxes[0], [2, 4, 8, 12])
    assert key.gt_instances.masks.masks.sum(axis=(1, 2)).tolist() == [48, 16]
    assert key.scale_factor == (2, 2)
    assert key.ori_shape == (8, 12) and key.img_shape == (16, 24)
    assert (key.video_id, key.frame_id, key.video_length) == (7, 0, 3)
