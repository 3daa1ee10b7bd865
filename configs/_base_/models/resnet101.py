# ResNet-101 of the query hosts: detectron2's stages, that is strides in the
# 3x3 convolutions, stem and first stage frozen, statistics of the batch norms
# fixed. Use: model = dict(backbone=dict(**_base_.resnet101)).
resnet101 = dict(
    type='ResNet',
    depth=101,
    num_stages=4,
    out_indices=(1, 2, 3),
    frozen_stages=1,
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True,
    style='pytorch',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth'))
