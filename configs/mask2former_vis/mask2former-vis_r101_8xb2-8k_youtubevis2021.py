_base_ = './mask2former-vis_r50_8xb2-8k_youtubevis2021.py'

model = dict(segmenter=dict(backbone=dict(depth=101)))
load_from = 'checkpoints/mask2former_r101_coco.pth'
