_base_ = [
    '../_base_/models/sipmask_r50.py', '../_base_/datasets/ovis.py',
    '../_base_/schedules/sipmask_12e.py', '../_base_/default_runtime.py'
]

model = dict(bbox_head=dict(num_classes=25, test_cfg=dict(max_per_img=15)))
# The reference frame comes from the whole video.
train_dataloader = dict(dataset=dict(clip_sampler=dict(frame_range=None)))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_640x360))
test_dataloader = val_dataloader
