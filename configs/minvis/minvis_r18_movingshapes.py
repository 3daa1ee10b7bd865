_base_ = [
    '../_base_/models/mask2former_r18_small.py', '../_base_/models/minvis.py',
    '../_base_/schedules/small_mask2former.py'
]

model = _base_.minvis
train_dataloader = dict(
    dataset=dict(
        clip_sampler=dict(_delete_=True, type='ClipSampler', num_frames=1)))
