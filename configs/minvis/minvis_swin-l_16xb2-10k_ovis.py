_base_ = [
    './minvis_r50_8xb4-10k_ovis.py',
    '../_base_/models/mask2former_swin-l.py'
]

model = dict(segmenter=_base_.mask2former_swin_l)
load_from = 'checkpoints/mask2former_swin-l_coco.pth'
train_dataloader = dict(batch_size=2)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
