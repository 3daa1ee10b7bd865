# What a checkpoint of the released MemCNP code needs to give its own output
# and losses; configs/sipmask/sources.yml says why each differs from the paper.
official_head = dict(
    clip_boxes='input',
    vector_rounding='round',
    memcnp=dict(decay_unused=True),
    assigner=dict(topk=4, candidates='nearest'),
    centreness_level='finest',
    track_anchors='ground_truth',
    loss_cnp=dict(reduction='image_sum'))
