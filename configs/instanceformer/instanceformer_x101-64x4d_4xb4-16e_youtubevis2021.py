# Not in the paper's tables: the ResNeXt-101 of the released code.
_base_ = './instanceformer_r50_4xb4-16e_youtubevis2021.py'

model = dict(
    segmenter=dict(
        backbone=dict(
            type='ResNeXt',
            depth=101,
            groups=64,
            base_width=4,
            init_cfg=dict(
                _delete_=True,
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/'
                'resnext101_64x4d-173b62eb.pth'))))
load_from = None
