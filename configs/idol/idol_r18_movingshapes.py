_base_ = [
    '../_base_/models/idol_r18_small.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/small_cpu.py', '../_base_/default_runtime.py'
]

# A transformer does not bear the learning rate of a dense head.
optim_wrapper = dict(
    optimizer=dict(lr=4e-4), clip_grad=dict(max_norm=1.0))
train_dataloader = dict(batch_size=4)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
# Trained on single frames by idol_r18_images_movingshapes.py.
load_from = '{{ fileDirname }}/../../demo/weights/query_r18_movingshapes.pth'
