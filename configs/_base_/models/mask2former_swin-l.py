# Mask2Former on Swin-L, with twice the queries of ResNet-50.
_base_ = ['./mask2former_r50.py', './swin-l.py']

model = dict(
    segmenter=dict(
        backbone=dict(
            _delete_=True,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://github.com/SwinTransformer/storage/'
                'releases/download/v1.0.0/'
                'swin_large_patch4_window12_384_22k.pth'),
            **dict(_base_.swin_l, out_indices=(0, 1, 2, 3))),
        pixel_decoder=dict(in_channels=[192, *_base_.swin_l_channels]),
        decoder=dict(num_queries=200)))
