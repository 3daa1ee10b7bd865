# What a checkpoint of the released CTVIS needs to give its own output, and how
# it was trained.
_base_ = [
    './ctvis_r50_8xb2-16k-coco-joint_ovis.py',
    '../_base_/models/ctvis_official.py'
]

model = _base_.ctvis_official
train_dataloader = dict(
    dataset=dict(
        datasets=[
            _base_.train_dataloader.dataset.datasets[0],
            dict(
                _base_.train_dataloader.dataset.datasets[1],
                num_frames=10,
                pipeline=_base_.ctvis_official_images)
        ]))
