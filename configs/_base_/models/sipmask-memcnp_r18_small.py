# The small SipMask with MemCNP.
_base_ = ['./sipmask-memcnp_r50.py', './r18_small.py']

model = dict(
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
        stacked_convs=3,
        strides=(8, 16, 32),
        side_unit=(192, 128),
        loss_cls=dict(loss_weight=2.0),
        norm_cfg=dict(type='GN', num_groups=16),
        # One label a point, and labels that weigh less than appearance: see
        # configs/sipmask/README.md.
        test_cfg=dict(nms='one_label'),
        # The contrast has the size of the host's tracking loss: with so few
        # channels it outweighs masks and classes.
        memcnp=dict(
            rate=0.99, training=dict(contrast=dict(loss_weight=0.25)))),
    tracker=dict(association=dict(label_weight=2.)))
