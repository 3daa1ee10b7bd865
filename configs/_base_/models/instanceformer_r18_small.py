# A small InstanceFormer for a CPU: a pre-trained ResNet-18 of a quarter of
# the usual width, three layers of 96 channels and 30 queries.
_base_ = './instanceformer_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=16,
        num_stages=4,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        # Made by tools/benchmark/pretrain_backbone.py.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='{{ fileDirname }}/../../../demo/weights/'
            'r18_movingshapes.pth')),
    neck=dict(
        in_channels=[32, 64, 128],
        out_channels=96,
        norm_cfg=dict(num_groups=16)),
    encoder=dict(
        num_layers=3,
        embed_dims=96,
        num_heads=6,
        feedforward_channels=192,
        dropout=0.0),
    decoder=dict(
        num_layers=3,
        embed_dims=96,
        num_heads=6,
        feedforward_channels=192,
        dropout=0.0),
    mask_branch=dict(in_channels=96, hidden_channels=32),
    num_classes=6,
    num_queries=30,
    embed_dims=96,
    memory=dict(num_tokens=6),
    test_cfg=dict(num_proposals=30))
