# Table 7: pseudo-videos alone, each of one frame of a training video.
_base_ = '../ctvis_swin-l_8xb2-16k_youtubevis2021.py'

train_dataloader = dict(
    dataset=dict(
        clip_sampler=dict(
            _delete_=True, type='ClipSampler', num_frames=8,
            frame_range=0),
        pipeline=_base_.ctvis_coco.pipeline))
