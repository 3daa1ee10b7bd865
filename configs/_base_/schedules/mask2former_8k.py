# 8000 steps of 32 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=8000, val_interval=8000)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=8000,
        milestones=[5500],
        gamma=0.1)
]
