_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/models/dvis_daq.py',
    '../_base_/models/dvis_daq_offline.py',
    '../_base_/datasets/ovis.py',
    '../_base_/datasets/dvis_daq_pipelines.py',
    '../_base_/schedules/dvis_daq_160k.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.dvis_daq_offline,
    segmenter=dict(_base_.dvis_daq_segmenter, decoder=dict(num_classes=25)),
    tracker=dict(_base_.dvis_daq.tracker, num_classes=25),
    refiner=dict(_base_.dvis_daq_offline.refiner, num_classes=25),
    score_thr=0.05,
    slot_thr=0.01,
    # A video of 292 frames at 480x864.
    max_bytes=10 * 2**30)
# Trained online.
load_from = 'checkpoints/dvis-daq_r50_ovis.pth'
train_dataloader = dict(batch_size=1, dataset=_base_.dvis_daq_offline_clips)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
