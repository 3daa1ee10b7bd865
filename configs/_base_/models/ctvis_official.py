# How the released CTVIS differs from its paper: the positive is the memory's
# embedding or the latest one, negatives are the queries of the frame before,
# there is no noise; detections match from 0.3 on, objects of more frames
# first.
ctvis_official = dict(
    loss_embed=dict(
        major='frame', noise_prob=0.0, latest_prob=0.5, look_ahead=True),
    tracker=dict(match_thr=0.3, frame_weight=True))
