# 16 epochs of InstanceFormer.
train_cfg = dict(
    type='ResumableEpochTrainLoop', max_epochs=16, val_interval=16)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=16,
        milestones=[4, 10],
        gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys=dict(
            backbone=dict(lr_mult=0.1),
            reference_points=dict(lr_mult=0.1),
            sampling_offsets=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=0.1, norm_type=2))
# 4 GPUs with 4 clips each. With another number of clips, enable this to scale
# the learning rate.
auto_scale_lr = dict(enable=False, base_batch_size=16)
