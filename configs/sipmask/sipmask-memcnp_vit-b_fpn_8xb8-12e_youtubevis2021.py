_base_ = [
    '../_base_/models/sipmask-memcnp_vit-b.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/memcnp_12e.py', '../_base_/default_runtime.py'
]
