# What O2VIS offline has in place of the training of the tracker, which is
# frozen as the segmenter is.
_base_ = './temporal_refiner.py'

o2vis_offline = dict(
    type='O2VISOffline',
    refiner=dict(_base_.temporal_refiner.refiner, local_conv=True),
    loss=_base_.temporal_refiner.loss,
    with_online_scores=True,
    ranking=dict(type='LatestClass', score_thr=0.0, num_pairs=10))
