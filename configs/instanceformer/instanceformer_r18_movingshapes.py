_base_ = [
    '../_base_/models/instanceformer_r18_small.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/small_cpu.py', '../_base_/default_runtime.py'
]

train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True, type='NearFarClipSampler', num_frames=3)))
# The schedule is short: points and offsets learn as fast as the rest.
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.25))),
    clip_grad=dict(max_norm=1.0))
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
# Trained on single frames by ../idol/idol_r18_images_movingshapes.py.
load_from = '{{ fileDirname }}/../../demo/weights/query_r18_movingshapes.pth'
