# 6000 steps of 32 clips.
train_cfg = dict(
    type='ResumableIterTrainLoop', max_iters=6000, val_interval=6000)
param_scheduler = [
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=6000,
        milestones=[4000],
        gamma=0.1)
]
# Norms and embeddings do not decay. A key stands for all names that it is
# part of, the longest first, so that those of Swin come before the backbone.
_embedding = dict(decay_mult=0.0)
_swin = dict(lr_mult=0.1, decay_mult=0.0)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'backbone.norm': _swin,
            'patch_embed.norm': _swin,
            'downsample.norm': _swin,
            'norm1.weight': _swin,
            'norm1.bias': _swin,
            'norm2.weight': _swin,
            'norm2.bias': _swin,
            'relative_position_bias_table': _swin,
            'decoder.query_feat': _embedding,
            'decoder.query_embed': _embedding,
            'decoder.level_embed': _embedding,
        }),
    clip_grad=dict(max_norm=0.01, norm_type=2))
# With another number of clips a step, enable this to scale the learning rate.
auto_scale_lr = dict(enable=False, base_batch_size=32)
