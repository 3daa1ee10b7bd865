_base_ = [
    './dvis-daq-offline_r50_8xb1-160k_youtubevis2019.py',
    '../_base_/models/mask2former_vit-l.py'
]

model = dict(segmenter=_base_.mask2former_vit_l)
# Trained online.
load_from = 'checkpoints/dvis-daq_vitl_youtubevis2019.pth'
