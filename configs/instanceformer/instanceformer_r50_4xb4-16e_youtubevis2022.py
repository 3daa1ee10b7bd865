_base_ = [
    '../_base_/models/instanceformer_r50.py',
    '../_base_/datasets/instanceformer_youtube_vis_2022.py',
    '../_base_/schedules/instanceformer_16e.py',
    '../_base_/default_runtime.py'
]

model = dict(segmenter=dict(backbone=dict(init_cfg=None)))
# A model of instanceformer_r50_4xb4-12e_coco.py; its class layers start anew.
load_from = 'checkpoints/instanceformer_r50_coco.pth'
