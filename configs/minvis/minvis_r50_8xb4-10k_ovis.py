_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/models/minvis.py',
    '../_base_/datasets/ovis.py',
    '../_base_/datasets/minvis_pipelines.py',
    '../_base_/schedules/mask2former_10k.py', '../_base_/default_runtime.py'
]

# The checkpoint brings the backbone.
model = dict(
    _base_.minvis,
    segmenter=dict(
        backbone=dict(init_cfg=None), decoder=dict(num_classes=25)))
# Mask2Former on COCO, converted; its class layer starts anew.
load_from = 'checkpoints/mask2former_r50_coco.pth'
train_dataloader = dict(batch_size=4, dataset=_base_.minvis_frames)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_360))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
