# Videos and, as often, images of COCO; clips of them and single frames.
_base_ = ['./youtube_vis_2021.py', './videomt_pipelines.py']

_videos = dict(
    _base_.train_dataloader.dataset, pipeline=_base_.ctvis_train_pipeline)
_images = dict(_base_.dvis_daq_coco, class_map='ytvis2021')
_clips = dict(_base_.dvis_daq_clips.clip_sampler)
_clips.pop('_delete_')
videomt_data = [dict(_videos, clip_sampler=_clips), _images]
eomt_data = [
    dict(_videos, clip_sampler=_base_.eomt_frame),
    dict(_images, num_frames=1)
]
train_dataloader = dict(batch_size=1, sampler=dict(ratios=(1, 1)))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_448))
test_dataloader = val_dataloader
