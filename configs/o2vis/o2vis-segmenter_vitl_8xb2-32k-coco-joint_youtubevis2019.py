_base_ = [
    './o2vis-segmenter_r50_8xb2-32k-coco-joint_youtubevis2019.py',
    '../_base_/models/mask2former_vit-l.py'
]

model = dict(segmenter=_base_.mask2former_vit_l)
# Mask2Former on COCO, converted; its class layer starts anew.
load_from = 'checkpoints/mask2former_vitl_coco.pth'
