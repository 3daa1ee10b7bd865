_base_ = [
    '../_base_/models/idol_r50.py', '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/datasets/idol_pipelines.py',
    '../_base_/schedules/idol_12k.py', '../_base_/default_runtime.py'
]

# The checkpoint brings the backbone.
model = dict(segmenter=dict(backbone=dict(init_cfg=None)))
load_from = 'checkpoints/idol_r50_coco-pairs.pth'
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        clip_sampler=dict(frame_range=10),
        pipeline=_base_.youtube_vis_train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
