_base_ = ['./idol_r18_movingshapes.py', '../_base_/models/memcnp_queries.py']

model = dict(memcnp=_base_.memcnp_queries)
# So short a training needs a quicker memory. The host's scores are class
# probabilities alone: they gain from how sure a box is, and sigma has to know
# what is no object for that (docs/memcnp.md has figures; not in the paper).
model['memcnp'].update(rate=0.99, certainty_power=0.5)
model['memcnp']['training']['loss'].update(sigma_samples='everywhere')
