# Fig. 4: clips of 4 frames.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_ovis.py'

_videos, _images = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                _videos,
                clip_sampler=dict(_videos.clip_sampler, num_frames=4)),
            dict(_images, num_frames=4)
        ]))
