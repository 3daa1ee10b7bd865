# Two frames at most 20 apart, in their order, resized and flipped as those of
# MinVIS.
_base_ = './minvis_pipelines.py'

mask2former_vis_clips = dict(
    clip_sampler=dict(
        _delete_=True,
        type='ClipSampler',
        num_frames=2,
        frame_range=20,
        empty_frames=True),
    pipeline=_base_.minvis_train_pipeline)
