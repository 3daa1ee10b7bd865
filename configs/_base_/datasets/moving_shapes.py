# MovingShapes, generated at 128x192 by
#   python tools/dataset_converters/moving_shapes.py \
#       data/moving_shapes/easy/train --videos 600 --frames 16 --seed 0 \
#       --level easy
#   python tools/dataset_converters/moving_shapes.py \
#       data/moving_shapes/easy/val --videos 50 --seed 1000 --level easy
# and the same with 'hard' in place of 'easy'.
dataset_type = 'MovingShapes'
data_root = 'data/moving_shapes/easy/'

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadVISAnnotations'),
            # Never above 128x192, so that every batch is padded to that.
            dict(
                type='RandomResize',
                scale=[(144, 96), (192, 128)],
                keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(192, 128), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        clip_sampler=dict(type='KeyRefSampler', frame_range=5),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoFrameSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val/instances.json',
        data_prefix=dict(img_path='val/JPEGImages'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='VISMetric', ann_file=f'{data_root}val/instances.json')
test_evaluator = val_evaluator
val_cfg = dict(type='VideoValLoop')
test_cfg = dict(type='VideoTestLoop')
