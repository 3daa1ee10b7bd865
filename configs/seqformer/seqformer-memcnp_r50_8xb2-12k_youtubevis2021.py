_base_ = [
    './seqformer_r50_8xb2-12k_youtubevis2021.py',
    '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
