# What VidEoMT adds to the segmenter of single frames.
videomt = dict(
    type='VidEoMT',
    segmenter=dict(norm_early=False),
    matcher=dict(type='StickyMatcher', rule='appearance'),
    ranking=dict(type='TopPairs', num_pairs=10))
# Its first stage: the segmenter alone, on frames. Followed as by MinVIS.
eomt_frames = dict(
    type='MinVIS',
    segmenter=dict(masked=True),
    tracker=dict(
        type='RowTracker',
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')),
    matcher=dict(type='OneToOneMatcher'),
    ranking=dict(type='TopPairs', num_pairs=10))
