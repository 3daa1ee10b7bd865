_base_ = ['./idol_r50_8xb4-59k_coco-pairs.py', '../_base_/models/swin-l.py']

model = dict(
    segmenter=dict(
        backbone=dict(_delete_=True, init_cfg=None, **_base_.swin_l),
        neck=dict(in_channels=_base_.swin_l_channels)))
load_from = 'checkpoints/idol_swin-l_coco.pth'
