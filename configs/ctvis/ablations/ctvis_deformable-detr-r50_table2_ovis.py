# Table 2: CTVIS on the segmenter of IDOL.
_base_ = [
    '../../_base_/models/idol_r50.py', '../../_base_/models/ctvis.py',
    '../../_base_/datasets/ovis.py',
    '../../_base_/datasets/ctvis_pipelines.py',
    '../../_base_/schedules/idol_12k.py', '../../_base_/default_runtime.py'
]

# The checkpoint brings the backbone.
model = dict(
    segmenter=dict(backbone=dict(init_cfg=None), num_classes=25),
    loss_embed=dict(_base_.ctvis_contrast, _delete_=True),
    tracker=dict(_base_.ctvis_tracker, _delete_=True))
load_from = 'checkpoints/idol_r50_coco-pairs.pth'
train_dataloader = dict(
    batch_size=2,
    sampler=dict(ratios=(0.75, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.train_dataloader.dataset, **dict(
                    pipeline=_base_.ctvis_clips.pipeline,
                    clip_sampler=dict(
                        _base_.ctvis_clips.clip_sampler,
                        num_frames=10,
                        frame_range=15))),
            dict(_base_.ctvis_coco, class_map='ovis', num_frames=10)
        ]))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2000))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=16)
