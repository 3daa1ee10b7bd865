# 40000 steps of 8 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=40000, milestones=[28000])
]
auto_scale_lr = dict(base_batch_size=8)
