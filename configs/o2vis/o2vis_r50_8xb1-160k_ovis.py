_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/models/o2vis.py',
    '../_base_/datasets/ovis.py',
    '../_base_/datasets/dvis_daq_pipelines.py',
    '../_base_/schedules/mask2former_160k.py',
    '../_base_/default_runtime.py'
]

model = dict(
    _base_.o2vis,
    segmenter=dict(_base_.o2vis_segmenter, decoder=dict(num_classes=25)),
    tracker=dict(_base_.o2vis.tracker, num_classes=25),
    num_shown=60,
    ranking=dict(type='TopPairs', num_pairs=20))
# A segmenter that o2vis-segmenter_* trained.
load_from = 'checkpoints/o2vis-segmenter_r50_ovis.pth'
train_dataloader = dict(batch_size=1, dataset=_base_.dvis_daq_clips)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
