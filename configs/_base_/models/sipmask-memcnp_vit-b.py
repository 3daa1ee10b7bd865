# SipMask with MemCNP on a plain ViT-b (MAE).
_base_ = ['./sipmask-memcnp_r50.py', './vit-b_fpn.py']

model = dict(
    backbone=dict(_delete_=True, **_base_.vit_b),
    neck=dict(_delete_=True, **_base_.vit_b_fpn),
    bbox_head=dict(test_cfg=dict(score_thr=0.015)))
