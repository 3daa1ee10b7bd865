_base_ = './idol_r50_8xb4-59k_coco-pairs.py'

model = dict(segmenter=dict(backbone=dict(depth=101)))
load_from = 'checkpoints/idol_r101_coco.pth'
