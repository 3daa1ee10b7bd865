# SipMask-VIS: configs/sipmask/sources.yml gives the source of every number.
model = dict(
    type='SipMaskVIS',
    data_preprocessor=dict(
        type='TrackDataPreprocessor',
        # A Caffe backbone takes BGR without scaling.
        mean=[102.9801, 115.9465, 122.7717],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_mask=True,
        pad_size_divisor=32),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='caffe',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/resnet50_caffe.pth')),
    neck=dict(
        type='FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        start_level=1,
        add_extra_convs='on_output',
        relu_before_extra_convs=True,
        num_outs=5),
    bbox_head=dict(
        type='SipMaskHead',
        num_classes=40,
        in_channels=256,
        feat_channels=256,
        stacked_convs=3,
        strides=(8, 16, 32, 64, 128),
        regress_ranges=((-1, 64), (64, 128), (128, 256), (256, 512),
                        (512, 1e8)),
        center_radius=1.5,
        basis_channels=32,
        track_channels=512,
        ref_jitter=0.05,
        loss_cls=dict(
            type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25),
        test_cfg=dict(
            score_thr=0.03, nms_iou_thr=0.5, nms_pre=200, max_per_img=10)),
    tracker=dict(
        type='CueTracker',
        association=dict(
            type='CueAssociation',
            similarity='dot',
            temperature=1.0,
            new_object_logit=0.,
            score_weight=1.,
            iou_weight=2.,
            label_weight=10.),
        memory=dict(type='LatestMemory'),
        # Bounds what a long video costs; the released code prunes there too.
        max_tracks=500))
