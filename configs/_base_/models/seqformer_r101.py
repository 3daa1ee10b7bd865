# SeqFormer with ResNet-101.
_base_ = './seqformer_r50.py'

model = dict(
    segmenter=dict(
        backbone=dict(
            depth=101,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth'
            ))))
