# OVIS. The layout is that of the released archives; the released
# annotations_valid.json has no annotations, so that testing writes a
# submission.
dataset_type = 'OVIS'
data_root = 'data/ovis/'

# A key frame and a reference at most 5 frames away, the same scale and flip
# for both. The long side is drawn from 640 to 960, the short side from 360 to
# 480, independently; the ratio is kept.
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
# MemCNP; plain SipMask tests at (640, 360).
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(960, 480), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations_train.json',
        data_prefix=dict(img_path='train'),
        clip_sampler=dict(type='KeyRefSampler', frame_range=5),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoFrameSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations_valid.json',
        data_prefix=dict(img_path='valid'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='VISMetric', ann_file=f'{data_root}annotations_valid.json')
test_evaluator = val_evaluator
val_cfg = dict(type='VideoValLoop')
test_cfg = dict(type='VideoTestLoop')
