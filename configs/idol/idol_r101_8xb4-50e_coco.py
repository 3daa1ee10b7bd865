_base_ = './idol_r50_8xb4-50e_coco.py'

model = dict(
    segmenter=dict(
        backbone=dict(
            depth=101,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth'
            ))))
