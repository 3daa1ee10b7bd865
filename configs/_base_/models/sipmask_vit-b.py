# SipMask-VIS on a plain ViT-b: four levels, the input normalised as for MAE.
_base_ = ['./sipmask_r50.py', './vit-b_fpn.py']

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(_delete_=True, **_base_.vit_b),
    neck=dict(_delete_=True, **_base_.vit_b_fpn),
    bbox_head=dict(
        strides=(8, 16, 32, 64),
        regress_ranges=((-1, 64), (64, 128), (128, 256), (256, 1e8))))
