# 20000 steps of 8 clips.
_base_ = './videomt_160k.py'

train_cfg = dict(max_iters=20000, val_interval=20000)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=20000)
]
