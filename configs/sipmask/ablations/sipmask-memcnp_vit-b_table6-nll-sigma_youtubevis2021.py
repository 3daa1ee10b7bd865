# Table 6, row 3: L_nll, R_sigma and USS; the host's matching.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(memcnp=dict(training=dict(contrast=None))),
    tracker=dict(association=dict(similarity='dot', temperature=1.0)))
