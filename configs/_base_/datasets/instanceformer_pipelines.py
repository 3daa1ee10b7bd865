# The frames of a clip get the same flip, colours, scale and crop.
instanceformer_scales = [(768, 288), (768, 320), (768, 352), (768, 392),
                         (768, 416), (768, 448), (768, 480), (768, 512)]
instanceformer_geometry = dict(
    type='RandomChoice',
    transforms=[
        [
            dict(
                type='RandomChoiceResize',
                scales=instanceformer_scales,
                keep_ratio=True)
        ],
        [
            # Without a limit of the long side.
            dict(
                type='RandomChoiceResize',
                scales=[(100000, 400), (100000, 500), (100000, 600)],
                keep_ratio=True),
            dict(
                type='RandomCrop',
                crop_type='absolute_range',
                crop_size=(384, 600),
                allow_negative_crop=True,
                # What is cropped away counts as absent.
                recompute_bbox=True),
            dict(
                type='RandomChoiceResize',
                scales=instanceformer_scales,
                keep_ratio=True)
        ]
    ])
instanceformer_train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            instanceformer_geometry,
        ]),
    dict(type='PackTrackInputs'),
]
# Pseudo clips of COCO, without the change of colours.
instanceformer_coco_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(type='RandomFlip', prob=0.5),
            instanceformer_geometry,
        ]),
    dict(type='PackTrackInputs'),
]
instanceformer_test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            # The short side alone is limited.
            dict(type='Resize', scale=(100000, 360), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
