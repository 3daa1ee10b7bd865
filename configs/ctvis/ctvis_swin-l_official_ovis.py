# What a checkpoint of the released CTVIS needs to give its own output, and how
# it was trained.
_base_ = [
    './ctvis_swin-l_8xb2-16k-coco-joint_ovis.py',
    '../_base_/models/ctvis_official.py'
]

model = _base_.ctvis_official
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                _base_.train_dataloader.dataset.datasets[0],
                clip_sampler=dict(
                    _base_.train_dataloader.dataset.datasets[0].clip_sampler,
                    num_frames=6, frame_range=10)),
            dict(
                _base_.train_dataloader.dataset.datasets[1],
                num_frames=6,
                pipeline=_base_.ctvis_official_images)
        ]))
