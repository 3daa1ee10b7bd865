# The start of the others: single images, hence no memory.
_base_ = [
    '../_base_/models/instanceformer_r50.py',
    '../_base_/datasets/instanceformer_coco.py',
    '../_base_/schedules/instanceformer_16e.py',
    '../_base_/default_runtime.py'
]

model = dict(
    segmenter=dict(num_classes=80), memory=None, contrast=None)
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=12,
        milestones=[4, 10],
        gamma=0.1)
]
