_base_ = [
    './idol_swin-l_8xb4-12k_youtubevis2021.py',
    '../_base_/models/idol-memcnp.py'
]

model = _base_.idol_memcnp
