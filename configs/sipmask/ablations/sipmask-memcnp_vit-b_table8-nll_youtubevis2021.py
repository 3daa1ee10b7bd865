# Table 8: trained by the plain NLL (eq 8).
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(memcnp=dict(training=dict(loss=dict(rule='nll')))))
