# SipMask with MemCNP: configs/sipmask/sources.yml gives the source of every
# number. Only the head and the tracker's similarity differ from the host.
_base_ = './sipmask_r50.py'

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    bbox_head=dict(
        _delete_=True,
        type='MemCNPSipMaskHead',
        num_classes=40,
        in_channels=256,
        feat_channels=256,
        stacked_convs=3,
        strides=(8, 16, 32, 64),
        # The longest side of the inputs, either way.
        side_unit=(960, 960),
        memcnp=dict(
            type='MemCNP',
            num_items=128,
            rate=0.999,
            training=dict(
                assigner=dict(type='USSAssigner', topk=5, lambda_tau=0.5),
                loss=dict(
                    type='MemCNPLoss',
                    rule='gmm',
                    sigma_weight=1.0,
                    alpha='image'),
                contrast=dict(
                    type='ContrastiveTrackingLoss', temperature=0.1))),
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            reduction='none'),
        loss_bbox=dict(type='GIoULoss', eps=1e-6, reduction='none'),
        ref_jitter=0.05,
        test_cfg=dict(
            score_thr=0.03, nms_iou_thr=0.5, nms_pre=200, max_per_img=10)),
    tracker=dict(
        association=dict(similarity='cosine', temperature=0.1)))
