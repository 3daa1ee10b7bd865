# Table 7: 64 memory items.
_base_ = '../sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py'

model = dict(bbox_head=dict(memcnp=dict(num_items=64)))
