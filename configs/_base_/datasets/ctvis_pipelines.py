_base_ = './query_pipelines.py'

# The frames of a clip share everything: half of the clips are cropped, then
# all get a scale and a flip.
ctvis_train_pipeline = [
    dict(type='TransformBroadcaster', transforms=_base_.load_transforms),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[_base_.crop_384_600])
        ]),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            _base_.resize_768,
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
# Clips of 8 frames, the others at most 20 away from the one drawn first.
ctvis_clips = dict(
    clip_sampler=dict(
        type='ClipSampler',
        num_frames=8,
        frame_range=20,
        empty_frames=True,
        replace=True),
    pipeline=ctvis_train_pipeline)
# Longer clips of slower videos.
ctvis_long_clips = dict(
    ctvis_clips,
    clip_sampler=dict(
        ctvis_clips['clip_sampler'], num_frames=10, frame_range=15))
# Pseudo clips: an image of COCO that is turned, and half of the time seen
# through a window that moves or zooms. What a table leaves out is taken from
# the list.
_load = dict(type='TransformBroadcaster', transforms=_base_.load_transforms)
ctvis_paste = dict(type='ClipPaste', prob=0.5, scale=(0.5, 1.0))
ctvis_crop = dict(
    type='RandomApply',
    prob=0.5,
    transforms=[
        dict(
            type='TransformBroadcaster',
            share_random_params=True,
            transforms=[
                dict(
                    type='RandomChoiceResize',
                    scales=[(1333, 400), (1333, 500), (1333, 600)],
                    keep_ratio=True)
            ]),
        dict(
            type='ClipCrop', crop_size=(384, 600), zoom_prob=0.5,
            max_zoom=2.0),
    ])
ctvis_turn = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            _base_.resize_768,
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='ClipRotation', max_angle=15.0, centre=(0.4, 0.6)),
    dict(type='PackTrackInputs'),
]
ctvis_coco = dict(
    type='CocoPseudoVideo',
    data_root='data/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017'),
    num_frames=8,
    pipeline=[_load, ctvis_crop, *ctvis_turn])
# The released code has windows that move, none that zooms.
ctvis_official_images = [
    _load,
    dict(
        ctvis_crop,
        transforms=[
            ctvis_crop['transforms'][0],
            dict(ctvis_crop['transforms'][1], zoom_prob=0.0)
        ]), *ctvis_turn
]
# Table 5 of the paper, of which the last row is the paper's pseudo-video.
ctvis_pseudo = dict(
    rotation=dict(ctvis_coco, pipeline=[_load, *ctvis_turn]),
    crop=ctvis_coco,
    paste=dict(
        ctvis_coco, paste=True, pipeline=[_load, ctvis_paste, *ctvis_turn]),
    all=dict(
        ctvis_coco,
        paste=True,
        pipeline=[_load, ctvis_paste, ctvis_crop, *ctvis_turn]))
