# Data and schedule of the small systems on Mask2Former.
_base_ = [
    '../datasets/moving_shapes.py', './small_cpu.py', '../default_runtime.py'
]

# A transformer does not bear the learning rate of a dense head.
optim_wrapper = dict(
    optimizer=dict(lr=4e-4), clip_grad=dict(max_norm=1.0))
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
