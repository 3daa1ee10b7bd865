# MovingShapes, generated at 128x192 by
#   python tools/dataset_converters/moving_shapes.py \
#       data/moving_shapes/easy/train --videos 600 --frames 16 --seed 0 \
#       --level easy
#   python tools/dataset_converters/moving_shapes.py \
#       data/moving_shapes/easy/val --videos 50 --seed 1000 --level easy
# and the same with 'hard' in place of 'easy'.
_base_ = './vis_data.py'

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
    num_workers=1,
    sampler=dict(_delete_=True, type='ResumableSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val/instances.json',
        data_prefix=dict(img_path='val/JPEGImages'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}val/instances.json')
test_evaluator = val_evaluator
