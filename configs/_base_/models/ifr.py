# What IFR adds to the Mask2Former of single frames: the recurrent decoder,
# sigmoid classes, losses across frames.
ifr = dict(
    type='IFR',
    matcher=dict(
        costs=dict(cls=dict(type='SigmoidCost', weight=2.0))),
    loss=dict(
        _delete_=True,
        type='CrossFrameLoss',
        cross_weight=0.3,
        cls_weight=2.0,
        mask_weight=5.0,
        dice_weight=5.0,
        alpha=0.25,
        gamma=2.0,
        num_points=12544,
        oversample_ratio=3.0,
        importance_ratio=0.75),
    top_k=10,
    ranking=dict(type='LatestClass', score_thr=0.0, num_pairs=10))
ifr_segmenter = dict(
    # The checkpoint brings the backbone.
    backbone=dict(init_cfg=None),
    decoder=dict(type='RecurrentDecoder', prior=0.01))
# Per-clip inference (appendix): windows of two or five frames.
ifr_windows = dict(
    window=dict(type='ClipMatching', length=5, stride=1, match_thr=0.05),
    top_k=50,
    score_thr=0.05)
