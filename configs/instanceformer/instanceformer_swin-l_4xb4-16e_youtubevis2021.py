# Not in the paper's tables: the Swin-L of the released code.
_base_ = [
    './instanceformer_r50_4xb4-16e_youtubevis2021.py',
    '../_base_/models/swin-l.py'
]

model = dict(
    segmenter=dict(
        backbone=dict(
            _base_.swin_l,
            _delete_=True,
            with_cp=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://github.com/SwinTransformer/storage/releases/'
                'download/v1.0.0/swin_large_patch4_window12_384_22k.pth')),
        neck=dict(in_channels=_base_.swin_l_channels)))
load_from = None
