_base_ = [
    '../_base_/models/eomt_vit-l.py', '../_base_/models/videomt.py',
    '../_base_/datasets/videomt_ovis.py',
    '../_base_/schedules/videomt_20k.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.eomt_frames,
    segmenter=dict(
        backbone=dict(
            init_cfg=dict(
                type='Pretrained',
                checkpoint='checkpoints/dinov2_vitl14_reg4_pretrain.pth')),
        masked=True,
        num_classes=25))
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='ConcatDataset', datasets=_base_.eomt_data))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.layer_decay))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
