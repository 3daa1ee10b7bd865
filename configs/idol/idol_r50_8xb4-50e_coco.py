# First stage: instances of images.
_base_ = [
    '../_base_/models/idol_r50.py', '../_base_/datasets/coco_pseudo_video.py',
    '../_base_/datasets/idol_pipelines.py',
    '../_base_/schedules/deformable-detr_50e.py',
    '../_base_/default_runtime.py'
]

model = dict(segmenter=dict(num_classes=80), loss_embed=None)
train_dataloader = dict(
    dataset=dict(
        clip_sampler=dict(_delete_=True, type='ClipSampler', num_frames=1),
        num_frames=1,
        pipeline=_base_.coco_train_pipeline))
