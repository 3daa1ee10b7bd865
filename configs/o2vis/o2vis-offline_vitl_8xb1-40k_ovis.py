_base_ = [
    './o2vis-offline_r50_8xb1-40k_ovis.py',
    '../_base_/models/mask2former_vit-l.py'
]

model = dict(segmenter=_base_.mask2former_vit_l)
# Trained online.
load_from = 'checkpoints/o2vis_vitl_ovis.pth'
