# As sipmask-memcnp_r50_official.py, on ViT-b.
_base_ = '../_base_/models/sipmask-memcnp_vit-b.py'

model = dict(
    bbox_head=dict(
        clip_boxes='input',
        vector_rounding='round',
        memcnp=dict(decay_unused=True),
        assigner=dict(topk=4, candidates='nearest'),
        centreness_level='finest',
        track_anchors='ground_truth',
        loss_cnp=dict(alpha='points', reduction='image_sum')))
