# Half of the clips are cropped, each frame for itself; then both frames get
# the same scale and flip.
crop_size = (384, 600)
youtube_vis_train_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
        ]),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(
                        type='RandomCrop',
                        crop_type='absolute_range',
                        crop_size=crop_size,
                        allow_negative_crop=True,
                        recompute_bbox=True)
                ])
        ]),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(
                type='RandomChoiceResize',
                scales=[(768, 320), (768, 352), (768, 392), (768, 416),
                        (768, 448), (768, 480), (768, 512), (768, 544),
                        (768, 576), (768, 608), (768, 640)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PadClip'),
    dict(type='PackTrackInputs'),
]
ovis_train_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
        ]),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(
                        type='RandomCrop',
                        crop_type='absolute_range',
                        crop_size=crop_size,
                        allow_negative_crop=True,
                        recompute_bbox=True)
                ])
        ]),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 480), (1333, 512), (1333, 544), (1333, 576),
                        (1333, 608), (1333, 640), (1333, 672), (1333, 704),
                        (1333, 736), (1333, 768), (1333, 800)],
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
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(
                type='RandomApply',
                prob=0.5,
                transforms=[
                    dict(
                        type='RandomChoiceResize',
                        scales=[(4096, 400), (4096, 500), (4096, 600)],
                        keep_ratio=True),
                    dict(
                        type='RandomCrop',
                        crop_type='absolute_range',
                        crop_size=crop_size,
                        allow_negative_crop=True,
                        recompute_bbox=True),
                ]),
            dict(
                type='RandomChoiceResize',
                scales=[(768, 320), (768, 352), (768, 392), (768, 416),
                        (768, 448), (768, 480), (768, 512), (768, 544),
                        (768, 576), (768, 608), (768, 640)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PadClip'),
    dict(type='PackTrackInputs'),
]
youtube_vis_test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, 480), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
ovis_test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, 720), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
