_base_ = [
    './dvis-daq-offline_r50_8xb1-160k_youtubevis2021.py',
    '../_base_/models/mask2former_vit-l.py'
]

model = dict(
    segmenter=_base_.mask2former_vit_l, refiner=dict(local_conv=True))
# Trained online.
load_from = 'checkpoints/dvis-daq_vitl_youtubevis2021.pth'
train_cfg = dict(max_iters=80000, val_interval=80000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=80000, milestones=[56000])
]
