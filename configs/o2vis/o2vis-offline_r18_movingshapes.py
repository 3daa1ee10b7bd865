_base_ = [
    '../_base_/models/mask2former_r18_small.py',
    '../_base_/models/o2vis.py', '../_base_/models/o2vis_offline.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/small_cpu.py', '../_base_/default_runtime.py'
]

_sizes = dict(
    num_classes=6,
    embed_dims=96,
    num_heads=6,
    feedforward_channels=256,
    mask_dims=64)
model = dict(
    _base_.o2vis_offline,
    segmenter=dict(frozen=True),
    tracker=dict(_base_.o2vis.tracker, **_sizes),
    refiner=dict(_base_.o2vis_offline.refiner, num_layers=3, **_sizes))
optim_wrapper = dict(
    optimizer=dict(lr=4e-4), clip_grad=dict(max_norm=1.0))
train_cfg = dict(max_iters=1500, val_interval=500)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=1500)
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True,
            type='ClipSampler',
            num_frames=8,
            frame_range=7,
            reverse_prob=0.5)))
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
# Trained online by o2vis_r18_movingshapes.py.
load_from = 'checkpoints/o2vis_r18_movingshapes.pth'
