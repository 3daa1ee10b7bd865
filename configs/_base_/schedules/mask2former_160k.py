# 160000 steps of 8 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=160000, val_interval=160000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=160000, milestones=[112000])
]
auto_scale_lr = dict(base_batch_size=8)
