_base_ = [
    './videomt_vit-l_8xb1-160k-coco-joint_youtubevis2021.py',
    '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
