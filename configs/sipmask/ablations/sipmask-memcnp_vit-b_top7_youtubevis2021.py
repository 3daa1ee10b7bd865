# Section 4.1: 7 positives a ground truth and level.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(memcnp=dict(training=dict(assigner=dict(topk=7)))))
