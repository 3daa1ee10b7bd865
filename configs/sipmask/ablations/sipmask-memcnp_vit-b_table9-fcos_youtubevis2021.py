# Table 9: samples selected as in FCOS; docs/sample_selection.md.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(
        memcnp=dict(
            training=dict(
                assigner=dict(_delete_=True, type='FCOSPointAssigner')))))
