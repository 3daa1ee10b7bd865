# What DVIS-DAQ adds to the Mask2Former of single frames, which is frozen.
dvis_daq = dict(
    type='DVISDAQ',
    tracker=dict(
        type='AnchorTracker',
        num_classes=40,
        num_layers=6,
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        mask_dims=256,
        num_slots=5,
        memory=dict(type='SimilarityMemory', length=9)),
    num_frames=(2, 5),
    second_stage=10000,
    carry_thr=0.02,
    start_thr=0.01,
    score_thr=0.01,
    slot_thr=None,
    max_gap=8,
    ranking=dict(type='TopPairs', num_pairs=20),
    # What was followed for fewer frames and then ended.
    track_filter=dict(
        type='ShortTracks', from_frame=0, max_missing=1, min_detections=5))
# With a head of embeddings, as CTVIS leaves it.
dvis_daq_segmenter = dict(
    backbone=dict(init_cfg=None), embed_dims=256, frozen=True)
