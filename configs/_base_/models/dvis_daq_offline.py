# What DVIS-DAQ offline has in place of the training of the tracker, which is
# frozen as the segmenter is.
_base_ = './temporal_refiner.py'

dvis_daq_offline = dict(
    type='DVISDAQOffline',
    **_base_.temporal_refiner,
    start_thr=0.01,
    score_thr=0.01,
    slot_thr=None,
    max_gap=8,
    num_tracks=40,
    min_frames=5,
    ranking=dict(type='LatestClass', score_thr=0.0, num_pairs=20))
