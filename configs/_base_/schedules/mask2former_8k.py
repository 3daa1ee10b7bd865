# 8000 steps of 32 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=8000, val_interval=8000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=8000, milestones=[5500])
]
