# What a checkpoint of the released CTVIS needs to give its own output, and how
# it was trained.
_base_ = [
    './ctvis_swin-l_8xb2-16k_youtubevis2019.py',
    '../_base_/models/ctvis_official.py'
]

model = _base_.ctvis_official
train_dataloader = dict(dataset=dict(clip_sampler=dict(num_frames=10)))
