# Table 7: a conventional CNP with 128 fixed reference entries.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(
    bbox_head=dict(memcnp=dict(_delete_=True, type='CNP', num_items=128)))
