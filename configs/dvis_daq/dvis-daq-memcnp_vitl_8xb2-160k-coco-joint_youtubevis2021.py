_base_ = [
    './dvis-daq_vitl_8xb1-160k-coco-joint_youtubevis2021.py',
    '../_base_/models/memcnp_queries.py'
]

model = dict(memcnp=_base_.memcnp_queries)
# Two a GPU (MemCNP paper, 4.1), twice as many as the released DVIS-DAQ.
train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(base_batch_size=16)
