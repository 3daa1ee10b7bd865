# Single frames, whole, with a short side of 360 or 480.
_base_ = './query_pipelines.py'

minvis_train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            *_base_.load_transforms,
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 360), (1333, 480)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
minvis_frames = dict(
    clip_sampler=dict(_delete_=True, type='ClipSampler', num_frames=1),
    pipeline=minvis_train_pipeline)
