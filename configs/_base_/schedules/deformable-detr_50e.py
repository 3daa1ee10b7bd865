# 50 epochs of Deformable DETR.
train_cfg = dict(type='ResumableEpochTrainLoop', max_epochs=50)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=50,
        milestones=[40],
        gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=0.1, norm_type=2))
# 8 GPUs with 4 clips each. With another number of clips, enable this to scale
# the learning rate.
auto_scale_lr = dict(enable=False, base_batch_size=32)
