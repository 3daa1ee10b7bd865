# The same head without bank and distribution: the counterpart for cost. USS
# needs standard deviations, so that samples are selected as in FCOS.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(
        memcnp=None,
        loss_track=dict(type='ContrastiveTrackingLoss', temperature=0.1)))
