_base_ = [
    './o2vis_r50_8xb1-160k-coco-joint_youtubevis2019.py',
    '../_base_/models/mask2former_vit-l.py'
]

model = dict(segmenter=_base_.mask2former_vit_l)
# A segmenter that o2vis-segmenter_* trained.
load_from = 'checkpoints/o2vis-segmenter_vitl_youtubevis2019.pth'
