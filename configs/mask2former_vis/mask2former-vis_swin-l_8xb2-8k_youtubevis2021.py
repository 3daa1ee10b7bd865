_base_ = [
    './mask2former-vis_r50_8xb2-8k_youtubevis2021.py',
    '../_base_/models/mask2former_swin-l.py'
]

model = dict(segmenter=_base_.mask2former_swin_l)
load_from = 'checkpoints/mask2former_swin-l_coco.pth'
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
