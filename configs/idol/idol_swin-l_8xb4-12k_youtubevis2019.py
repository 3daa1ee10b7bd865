_base_ = [
    './idol_r50_8xb4-12k_youtubevis2019.py', '../_base_/models/swin-l.py'
]

model = dict(
    segmenter=dict(
        backbone=dict(_delete_=True, init_cfg=None, **_base_.swin_l),
        neck=dict(in_channels=_base_.swin_l_channels)))
load_from = 'checkpoints/idol_swin-l_coco-pairs.pth'
