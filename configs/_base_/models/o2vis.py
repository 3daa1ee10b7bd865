# What O2VIS adds to the Mask2Former of single frames, which is frozen.
o2vis = dict(
    type='O2VIS',
    tracker=dict(
        type='OccupancyTracker',
        num_classes=40,
        num_existing=3,
        num_aligning=3,
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        mask_dims=256,
        association=dict(type='HungarianAssociation', occupied_first=True),
        memory=dict(type='OccupancyMemory'),
        anchor=dict(type='AdaptiveAnchor', order='memory_first'),
        match_space='projected'),
    matcher=dict(type='StickyMatcher', rule='appearance'),
    # Early training follows the segmenter's queries.
    early=dict(
        type='RowTracker',
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')),
    early_share=0.5,
    similarity_weight=1.0,
    absent_as_no_object=True,
    # Masks of the best rows, three times what the ranking needs; None makes
    # all.
    num_shown=30,
    ranking=dict(type='TopPairs', num_pairs=10))
# With a head of embeddings, as the contrast leaves it.
o2vis_segmenter = dict(
    backbone=dict(init_cfg=None), embed_dims=256, frozen=True)
