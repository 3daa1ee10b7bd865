_base_ = ['./idol_swin-l_8xb2-12k_ovis.py', '../_base_/models/idol-memcnp.py']

model = _base_.idol_memcnp
