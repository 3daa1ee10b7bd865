# Frames are cropped and resized as those of CTVIS.
_base_ = './ctvis_pipelines.py'

# Five frames in a row.
dvis_daq_clips = dict(
    clip_sampler=dict(
        _delete_=True,
        type='ClipSampler',
        num_frames=5,
        frame_range=2,
        empty_frames=True),
    pipeline=_base_.ctvis_train_pipeline)
dvis_daq_coco = dict(_base_.ctvis_coco, num_frames=5)
# What is trained offline sees 15 frames in a row, half of the time backwards.
dvis_daq_offline_clips = dict(
    clip_sampler=dict(
        dvis_daq_clips['clip_sampler'],
        num_frames=15,
        frame_range=7,
        reverse_prob=0.5),
    pipeline=_base_.ctvis_train_pipeline)
