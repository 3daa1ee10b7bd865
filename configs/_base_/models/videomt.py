# Every query has a mask, and nearly all are of no object: those of the best
# 30 are made, three times what the ranking needs. None makes all.
_shown = 30
# What VidEoMT adds to the segmenter of single frames.
videomt = dict(
    type='VidEoMT',
    segmenter=dict(norm_early=False),
    matcher=dict(type='StickyMatcher', rule='appearance'),
    num_shown=_shown,
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
    num_shown=_shown,
    ranking=dict(type='TopPairs', num_pairs=10))
