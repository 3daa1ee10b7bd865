# Second stage: two views of an image as key and reference frame.
_base_ = [
    '../_base_/models/idol_r50.py', '../_base_/datasets/coco_pseudo_video.py',
    '../_base_/datasets/idol_pipelines.py',
    '../_base_/schedules/idol_coco-pairs_59k.py',
    '../_base_/default_runtime.py'
]

# The checkpoint brings the backbone.
model = dict(
    segmenter=dict(backbone=dict(init_cfg=None), num_classes=80))
load_from = 'checkpoints/idol_r50_coco.pth'
train_dataloader = dict(dataset=dict(pipeline=_base_.coco_train_pipeline))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2000))
log_processor = dict(by_epoch=False)
