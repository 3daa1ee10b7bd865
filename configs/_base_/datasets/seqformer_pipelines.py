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
