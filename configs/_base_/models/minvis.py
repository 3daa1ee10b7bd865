# What MinVIS adds to the Mask2Former of single frames.
minvis = dict(
    type='MinVIS',
    tracker=dict(
        type='RowTracker',
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')),
    ranking=dict(type='TopPairs', num_pairs=10))
