# 12 epochs of SipMask-VIS.
train_cfg = dict(
    type='ResumableEpochTrainLoop', max_epochs=12, val_interval=12)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1.0 / 80,
        by_epoch=False,
        begin=0,
        end=1000),
    dict(
        type='MultiStepLR',
        by_epoch=True,
        begin=0,
        end=12,
        milestones=[8, 11],
        gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(bias_lr_mult=2., bias_decay_mult=0.))
# 8 GPUs with 8 clips each. With another number of clips, enable this to scale
# the learning rate.
auto_scale_lr = dict(enable=False, base_batch_size=64)
