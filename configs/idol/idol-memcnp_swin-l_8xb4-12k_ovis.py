_base_ = [
    './idol_swin-l_8xb2-12k_ovis.py',
    '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
# Four a GPU (MemCNP paper, 4.1), twice as many as the released IDOL.
train_dataloader = dict(batch_size=4)
auto_scale_lr = dict(base_batch_size=32)
