# A small SipMask for a CPU: a head of 48 channels.
_base_ = ['./sipmask_r50.py', './r18_small.py']

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(_delete_=True, **_base_.r18_small),
    neck=dict(
        in_channels=[16, 32, 64, 128],
        out_channels=48,
        start_level=1,
        num_outs=3),
    bbox_head=dict(
        num_classes=6,
        in_channels=48,
        feat_channels=48,
        stacked_convs=2,
        strides=(8, 16, 32),
        regress_ranges=((-1, 32), (32, 64), (64, 1e8)),
        norm_cfg=dict(type='GN', num_groups=16),
        # One label a point, and labels that weigh less than appearance: see
        # configs/sipmask/README.md.
        test_cfg=dict(nms='one_label'),
        basis_channels=32,
        loss_cls=dict(loss_weight=2.0),
        track_channels=48),
    tracker=dict(association=dict(label_weight=2.)))
