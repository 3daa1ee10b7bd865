_base_ = [
    '../_base_/models/sipmask-memcnp_r50.py', '../_base_/datasets/ovis.py',
    '../_base_/schedules/memcnp_12e.py', '../_base_/default_runtime.py'
]

model = dict(
    bbox_head=dict(
        num_classes=25, test_cfg=dict(score_thr=0.02, nms_iou_thr=0.65)))
optim_wrapper = dict(optimizer=dict(lr=0.005))
