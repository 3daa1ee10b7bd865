# Key and reference frame of a clip get the same scale and flip. The long side
# is drawn from 640 to 960, the short side from 360 to 480, independently; the
# ratio is kept.
train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            dict(
                type='RandomResize',
                scale=[(640, 360), (960, 480)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
# MemCNP.
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(960, 480), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
# Plain SipMask.
test_pipeline_640x360 = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]
