_base_ = [
    '../_base_/models/mask2former_r50.py',
    '../_base_/models/o2vis_segmenter.py', '../_base_/datasets/ovis.py',
    '../_base_/datasets/ctvis_pipelines.py',
    '../_base_/schedules/mask2former_32k.py',
    '../_base_/default_runtime.py'
]

model = dict(
    _base_.o2vis_contrast,
    segmenter=dict(
        _base_.o2vis_contrast_segmenter, decoder=dict(num_classes=25)),
    num_shown=60,
    ranking=dict(type='TopPairs', num_pairs=20))
# Mask2Former on COCO, converted; its class layer starts anew.
load_from = 'checkpoints/mask2former_r50_coco.pth'
train_dataloader = dict(
    batch_size=2,
    sampler=dict(ratios=(1, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.train_dataloader.dataset, **_base_.ctvis_long_clips),
            dict(_base_.ctvis_coco, class_map='ovis', num_frames=10)
        ]))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4000))
log_processor = dict(by_epoch=False)
