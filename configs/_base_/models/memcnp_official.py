# What a checkpoint of the released MemCNP code needs to give its own output
# and losses; configs/sipmask/sources.yml says why each differs from the paper.
official_head = dict(
    clip_boxes='input',
    vector_rounding='round',
    side_unit=None,
    memcnp=dict(
        temperature=1.0,
        normalize=True,
        revive=0.,
        learnable=True,
        decay_unused=True,
        box_unit='image',
        training=dict(
            assigner=dict(topk=4, candidates='nearest', sigma_limit=1.),
            loss=dict(
                alpha='points',
                sigma_samples='positives',
                sigma_norm='smooth_l1',
                reduction='image_sum'))),
    centreness_level='finest',
    track_anchors='ground_truth')
