# What O2VIS offline has in place of the training of the tracker, which is
# frozen as the segmenter is.
o2vis_offline = dict(
    type='O2VISOffline',
    refiner=dict(
        type='TemporalRefiner',
        num_classes=40,
        num_layers=6,
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        mask_dims=256,
        local_conv=True),
    # The masks of an object in all frames are one mask.
    loss=dict(whole_clips=True),
    with_online_scores=True,
    ranking=dict(type='LatestClass', score_thr=0.0, num_pairs=10))
