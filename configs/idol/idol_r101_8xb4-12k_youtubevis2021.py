_base_ = './idol_r50_8xb4-12k_youtubevis2021.py'

model = dict(segmenter=dict(backbone=dict(depth=101)))
load_from = 'checkpoints/idol_r101_coco-pairs.pth'
