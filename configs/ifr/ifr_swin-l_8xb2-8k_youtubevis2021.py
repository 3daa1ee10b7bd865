_base_ = [
    './ifr_r50_8xb2-8k_youtubevis2021.py',
    '../_base_/models/mask2former_swin-l.py'
]

model = dict(
    segmenter=dict(_base_.mask2former_swin_l, decoder=dict(num_queries=100)))
# Of its 200 queries the first 100 are taken.
load_from = 'checkpoints/mask2former_swin-l_coco.pth'
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
