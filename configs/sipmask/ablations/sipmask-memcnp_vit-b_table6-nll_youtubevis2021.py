# Table 6, row 2: L_nll and USS; no R_sigma, the host's matching.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(
        memcnp=dict(
            training=dict(loss=dict(sigma_weight=0.), contrast=None))),
    tracker=dict(association=dict(similarity='dot', temperature=1.0)))
