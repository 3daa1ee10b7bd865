# What a checkpoint of the released MemCNP code needs to give its own output
# and losses. Where this differs from the paper, configs/sipmask/README.md
# says why.
_base_ = '../_base_/models/sipmask-memcnp_r50.py'

model = dict(
    bbox_head=dict(
        clip_boxes='input',
        vector_rounding='round',
        memcnp=dict(decay_unused=True),
        assigner=dict(topk=4, candidates='nearest'),
        centreness_level='finest',
        track_anchors='ground_truth',
        loss_cnp=dict(alpha='points', reduction='image_sum')))
