_base_ = ['./idol_r18_movingshapes.py', '../_base_/models/idol-memcnp.py']

model = _base_.idol_memcnp
# So short a training needs a quicker memory.
model.memcnp.rate = 0.99
