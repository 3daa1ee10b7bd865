# For a CPU: a ResNet-18 of a quarter of the usual width.
r18_small = dict(
    type='ResNet',
    depth=18,
    base_channels=16,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=False,
    style='pytorch',
    # Made by tools/benchmark/pretrain_backbone.py.
    init_cfg=dict(
        type='Pretrained',
        checkpoint='{{ fileDirname }}/../../../demo/weights/'
        'r18_movingshapes.pth'))
