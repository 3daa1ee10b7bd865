_base_ = [
    './dvis-daq_r50_8xb1-160k-coco-joint_ovis.py',
    '../_base_/models/mask2former_vit-l.py'
]

model = dict(segmenter=_base_.mask2former_vit_l)
# A segmenter that the authors' CTVIS trained.
load_from = 'checkpoints/ctvis_vitl_ovis.pth'
