_base_ = [
    './seqformer_r18_movingshapes.py', '../_base_/models/memcnp_clips.py'
]

model = dict(**_base_.memcnp_clips)
# The schedule is short: a memory that moves faster.
model['memcnp'].update(rate=0.99)
