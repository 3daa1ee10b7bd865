_base_ = [
    '../_base_/models/sipmask-memcnp_r18_small.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/small_cpu.py', '../_base_/default_runtime.py'
]

default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
