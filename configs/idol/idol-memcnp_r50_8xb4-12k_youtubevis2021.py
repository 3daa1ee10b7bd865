_base_ = [
    './idol_r50_8xb4-12k_youtubevis2021.py',
    '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
