# 160000 steps of 8 clips: a warm-up, then a polynomial decay.
train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=160000, val_interval=160000)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.002, by_epoch=False, begin=0, end=500),
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.0,
        by_epoch=False,
        begin=500,
        end=160000)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=0.01, norm_type=2))
# With another number of clips a step, enable this to scale the learning rate.
auto_scale_lr = dict(enable=False, base_batch_size=8)
