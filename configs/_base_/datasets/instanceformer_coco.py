# COCO as clips of one frame, in its own 80 classes; nothing to validate on.
_base_ = './instanceformer_clips.py'

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(_base_.instanceformer_coco, num_frames=1))
