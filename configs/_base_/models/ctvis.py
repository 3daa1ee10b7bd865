# What CTVIS adds to the Mask2Former of single frames. The training looks
# through the memory of the tracker.
ctvis_memory = dict(type='SimilarityMemory', length=10)
ctvis_embed_loss = dict(
    type='ContrastiveEmbeddingLoss',
    weight=2.0,
    aux_weight=3.0,
    negative_ratio=None)
ctvis_contrast = dict(
    type='MemoryContrast',
    memory=ctvis_memory,
    loss=ctvis_embed_loss,
    major='memory',
    supplementary='local',
    noise_prob=0.001,
    latest_prob=0.0,
    look_ahead=False)
ctvis_tracker = dict(
    type='GreedyTracker',
    association=dict(
        type='BiSoftmaxAssociation', similarity='dot', temperature=1.0),
    memory=ctvis_memory,
    match_thr=0.5,
    init_score_thr=0.01,
    new_score_thr=0.01,
    frame_weight=False,
    max_gap=21)
ctvis = dict(
    type='CTVIS',
    loss_embed=ctvis_contrast,
    score_thr=0.01,
    mask_nms_iou=0.6,
    tracker=ctvis_tracker,
    ranking=dict(type='TopPairs', num_pairs=40, rescore=True),
    track_filter=dict(
        type='ShortTracks', from_frame=9, max_missing=2, min_detections=3))
