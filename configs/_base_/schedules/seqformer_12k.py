# 12000 steps of 16 clips.
train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=12000, val_interval=12000)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=12000,
        milestones=[8000],
        gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=0.01, norm_type=2))
# 8 GPUs with 2 clips each. With another number of clips, enable this to scale
# the learning rate.
auto_scale_lr = dict(enable=False, base_batch_size=16)
