_base_ = './ifr_r50_8xb2-6k_youtubevis2019.py'

model = dict(segmenter=dict(backbone=dict(depth=101)))
load_from = 'checkpoints/mask2former_r101_coco.pth'
