# What DVIS-DAQ offline has in place of the training of the tracker, which is
# frozen as the segmenter is.
dvis_daq_offline = dict(
    type='DVISDAQOffline',
    refiner=dict(
        type='TemporalRefiner',
        num_classes=40,
        num_layers=6,
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        mask_dims=256,
        local_conv=False),
    # The masks of an object in all frames are one mask.
    loss=dict(whole_clips=True),
    start_thr=0.01,
    score_thr=0.01,
    slot_thr=None,
    max_gap=8,
    num_tracks=40,
    min_frames=5,
    ranking=dict(type='LatestClass', score_thr=0.0, num_pairs=20))
