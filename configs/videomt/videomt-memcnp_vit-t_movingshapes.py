_base_ = [
    './videomt_vit-t_movingshapes.py', '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
# So short a training needs a quicker memory.
model['memcnp'].update(rate=0.99)
