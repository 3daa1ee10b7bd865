# IDOL: configs/idol/sources.yml gives the source of every number.
_base_ = './query_r50.py'

model = dict(
    type='IDOL',
    segmenter=dict(
        decoder=dict(type='DeformableDecoder'),
        mask_head=dict(type='DynamicConvMaskHead', stride=8),
        embed_dims=256),
    matcher=dict(
        type='SimOTAMatcher',
        costs=dict(
            cls=dict(type='FocalCost', weight=1.0, alpha=0.25, gamma=2.0),
            giou=dict(type='GIoUCost', weight=3.0)),
        centre_radius=2.5 / 32,
        outside_centre=100.0,
        outside_any=10000.0,
        topk=10),
    loss_instance=dict(
        type='IDOLLoss',
        cls_weight=2.0,
        bbox_weight=5.0,
        giou_weight=2.0,
        mask_weight=2.0,
        dice_weight=5.0,
        alpha=0.25,
        gamma=2.0),
    loss_embed=dict(
        type='ContrastiveEmbeddingLoss',
        weight=2.0,
        aux_weight=3.0,
        negative_ratio=10),
    positive_topk=10,
    ignore_topk=100,
    score_thr=0.1,
    box_nms_iou=0.9,
    mask_nms_iou=0.5,
    ranking=dict(type='MeanClass', score_thr=0.05),
    track_filter=dict(
        type='ShortTracks', from_frame=9, max_missing=2, min_detections=3),
    tracker=dict(
        type='GreedyTracker',
        association=dict(
            type='BiSoftmaxAssociation', similarity='dot', temperature=1.0),
        memory=dict(type='WindowMemory', length=3),
        max_gap=10,
        match_thr=0.5,
        init_score_thr=0.2,
        new_score_thr=0.2,
        frame_weight=True))
