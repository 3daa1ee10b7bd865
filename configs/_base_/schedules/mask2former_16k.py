# 16000 steps of 16 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=16000, val_interval=16000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=16000, milestones=[6000, 12000])
]
auto_scale_lr = dict(base_batch_size=16)
