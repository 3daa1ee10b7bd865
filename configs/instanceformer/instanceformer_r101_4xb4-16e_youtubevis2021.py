# Not in the paper's tables: ResNet-101.
_base_ = './instanceformer_r50_4xb4-16e_youtubevis2021.py'

model = dict(
    segmenter=dict(
        backbone=dict(
            depth=101,
            init_cfg=dict(
                _delete_=True,
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth'
            ))))
load_from = None
