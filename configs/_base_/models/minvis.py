# What MinVIS adds to the Mask2Former of single frames.
minvis = dict(
    type='MinVIS',
    tracker=dict(
        type='RowTracker',
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')),
    # Masks of the best queries, three times what the ranking needs; None makes
    # all.
    num_shown=30,
    ranking=dict(type='TopPairs', num_pairs=10))
