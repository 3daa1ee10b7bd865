# Fig. 4, the baseline of multiple references: clips of 4 frames, one frame
# against all others.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_youtubevis2019.py'

model = dict(
    loss_embed=dict(
        _delete_=True,
        type='ReferenceContrast',
        reference='all',
        loss=_base_.ctvis_embed_loss))
_videos, _images = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                _videos,
                clip_sampler=dict(_videos.clip_sampler, num_frames=4)),
            dict(_images, num_frames=4)
        ]))
