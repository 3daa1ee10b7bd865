_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/models/o2vis.py',
    '../_base_/models/o2vis_offline.py',
    '../_base_/datasets/youtube_vis_2022.py',
    '../_base_/datasets/dvis_daq_pipelines.py',
    '../_base_/schedules/mask2former_40k.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.o2vis_offline,
    segmenter=_base_.o2vis_segmenter,
    tracker=_base_.o2vis.tracker)
# Trained online.
load_from = 'checkpoints/o2vis_r50_youtubevis2022.pth'
train_dataloader = dict(batch_size=1, dataset=_base_.dvis_daq_offline_clips)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
