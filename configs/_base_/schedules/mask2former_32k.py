# 32000 steps of 16 clips.
_base_ = './mask2former_6k.py'

train_cfg = dict(max_iters=32000, val_interval=32000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=32000, milestones=[12000, 24000])
]
optim_wrapper = dict(optimizer=dict(lr=5e-5))
auto_scale_lr = dict(base_batch_size=16)
