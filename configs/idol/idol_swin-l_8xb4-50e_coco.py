_base_ = ['./idol_r50_8xb4-50e_coco.py', '../_base_/models/swin-l.py']

model = dict(
    segmenter=dict(
        backbone=dict(
            _delete_=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://github.com/SwinTransformer/storage/releases/'
                'download/v1.0.0/swin_large_patch4_window12_384_22k.pth'),
            **_base_.swin_l),
        neck=dict(in_channels=_base_.swin_l_channels)))
