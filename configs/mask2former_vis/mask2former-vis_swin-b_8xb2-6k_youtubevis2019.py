_base_ = [
    './mask2former-vis_r50_8xb2-6k_youtubevis2019.py',
    '../_base_/models/mask2former_swin.py'
]

model = dict(segmenter=_base_.mask2former_swin_b)
load_from = 'checkpoints/mask2former_swin-b_coco.pth'
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
