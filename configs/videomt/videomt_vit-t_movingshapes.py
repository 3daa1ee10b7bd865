_base_ = [
    '../_base_/models/eomt_vit-t_small.py', '../_base_/models/videomt.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/small_cpu.py', '../_base_/default_runtime.py'
]

model = dict(_base_.videomt, segmenter=dict(norm_early=True))
# A transformer does not bear the learning rate of a dense head.
optim_wrapper = dict(
    optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=1.0))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True, type='ClipSampler', num_frames=4, frame_range=6)))
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
