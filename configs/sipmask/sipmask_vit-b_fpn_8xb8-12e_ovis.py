_base_ = [
    '../_base_/models/sipmask_vit-b.py', '../_base_/datasets/ovis.py',
    '../_base_/schedules/memcnp_12e.py', '../_base_/default_runtime.py'
]

model = dict(bbox_head=dict(num_classes=25, test_cfg=dict(max_per_img=15)))
optim_wrapper = dict(optimizer=dict(lr=0.005))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_640x360))
test_dataloader = val_dataloader
