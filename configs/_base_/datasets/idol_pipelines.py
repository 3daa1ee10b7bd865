_base_ = './query_pipelines.py'

# Half of the clips are cropped, each frame for itself; then both frames get
# the same scale and flip.
_load_and_crop = [
    dict(type='TransformBroadcaster', transforms=_base_.load_transforms),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='TransformBroadcaster',
                transforms=[_base_.crop_384_600])
        ]),
]
youtube_vis_train_pipeline = [
    *_load_and_crop,
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            _base_.resize_768,
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PadClip'),
    dict(type='PackTrackInputs'),
]
ovis_train_pipeline = [
    *_load_and_crop,
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(
                type='RandomChoiceResize',
                scales=[(1333, side) for side in range(480, 801, 32)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PadClip'),
    dict(type='PackTrackInputs'),
]
# Image pairs of COCO: each frame is cropped, scaled and flipped for itself.
# Resized before the crop too, as DETR does with images.
coco_train_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            *_base_.load_transforms,
            dict(
                type='RandomApply',
                prob=0.5,
                transforms=[
                    dict(
                        type='RandomChoiceResize',
                        scales=[(4096, 400), (4096, 500), (4096, 600)],
                        keep_ratio=True),
                    _base_.crop_384_600,
                ]),
            _base_.resize_1333,
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PadClip'),
    dict(type='PackTrackInputs'),
]
