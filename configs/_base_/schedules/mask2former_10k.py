# 10000 steps of 32 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=10000, val_interval=10000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=10000, milestones=[7000])
]
