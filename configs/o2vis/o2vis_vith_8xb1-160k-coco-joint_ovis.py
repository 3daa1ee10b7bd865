_base_ = [
    './o2vis_r50_8xb1-160k-coco-joint_ovis.py',
    '../_base_/models/mask2former_vit-h.py'
]

model = dict(segmenter=_base_.mask2former_vit_h)
# A segmenter that o2vis-segmenter_* trained.
load_from = 'checkpoints/o2vis-segmenter_vith_ovis.pth'
