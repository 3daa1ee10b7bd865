_base_ = [
    './ctvis_r50_8xb2-16k_youtubevis2021.py',
    '../_base_/models/mask2former_swin-l.py'
]

model = dict(segmenter=_base_.mask2former_swin_l)
load_from = 'checkpoints/mask2former_swin-l_coco.pth'
