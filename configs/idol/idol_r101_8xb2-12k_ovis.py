_base_ = './idol_r50_8xb2-12k_ovis.py'

model = dict(segmenter=dict(backbone=dict(depth=101)))
load_from = 'checkpoints/idol_r101_coco-pairs.pth'
