# The frames of a clip get the same scale and flip; no crop. The short side is
# one of these, the long side at most 1333.
seqformer_train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 320), (1333, 352), (1333, 392), (1333, 416),
                        (1333, 448), (1333, 480), (1333, 512), (1333, 544),
                        (1333, 576), (1333, 608), (1333, 640)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
seqformer_test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, 360), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
# Swin-L: the long side at most 768 in training, the short side 480 in tests.
seqformer_train_pipeline_768 = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(
                type='RandomChoiceResize',
                scales=[(768, 320), (768, 352), (768, 392), (768, 416),
                        (768, 448), (768, 480), (768, 512), (768, 544),
                        (768, 576), (768, 608), (768, 640)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
seqformer_test_pipeline_480 = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, 480), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
# Pseudo clips: every copy of the image has its own scale, crop and flip.
seqformer_pseudo_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=False,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 400), (1333, 500), (1333, 600)],
                keep_ratio=True),
            dict(
                type='RandomCrop',
                crop_type='absolute_range',
                crop_size=(384, 600),
                allow_negative_crop=True),
            dict(
                type='RandomChoiceResize',
                scales=[(768, 320), (768, 352), (768, 392), (768, 416),
                        (768, 448), (768, 480), (768, 512), (768, 544),
                        (768, 576), (768, 608), (768, 640)],
                keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
