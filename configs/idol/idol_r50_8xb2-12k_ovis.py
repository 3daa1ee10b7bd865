_base_ = [
    '../_base_/models/idol_r50.py', '../_base_/datasets/ovis.py',
    '../_base_/datasets/idol_pipelines.py',
    '../_base_/schedules/idol_12k.py', '../_base_/default_runtime.py'
]

model = dict(
    # The checkpoint brings the backbone.
    segmenter=dict(backbone=dict(init_cfg=None), num_classes=25),
    mask_nms_iou=0.3,
    tracker=dict(new_score_thr=0.3))
load_from = 'checkpoints/idol_r50_coco-pairs.pth'
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(frame_range=10),
        pipeline=_base_.ovis_train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_720))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
