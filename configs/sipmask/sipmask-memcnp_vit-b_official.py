# The options that a checkpoint of the released code needs.
_base_ = [
    './sipmask-memcnp_vit-b_fpn_8xb8-12e_youtubevis2021.py',
    '../_base_/models/memcnp_official.py'
]

model = dict(bbox_head=_base_.official_head)
