_base_ = [
    './idol_swin-l_8xb2-12k_ovis.py',
    '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
