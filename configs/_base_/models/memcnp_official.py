# What a checkpoint of the released MemCNP code needs to give its own output
# and losses; configs/sipmask/sources.yml says why each differs from the paper.
official_head = dict(
    clip_boxes='input',
    vector_rounding='round',
    memcnp=dict(
        decay_unused=True,
        training=dict(
            assigner=dict(topk=4, candidates='nearest'),
            loss=dict(reduction='image_sum'))),
    centreness_level='finest',
    track_anchors='ground_truth')
