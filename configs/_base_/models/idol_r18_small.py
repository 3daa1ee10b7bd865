# A small IDOL for a CPU: a pre-trained ResNet-18 of a quarter of the usual
# width, three layers of 96 channels and 50 queries.
_base_ = './idol_r50.py'

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
    neck=dict(in_channels=[32, 64, 128], out_channels=96),
    encoder=dict(
        num_layers=3,
        embed_dims=96,
        num_points=2,
        feedforward_channels=256,
        dropout=0.0),
    decoder=dict(
        num_layers=3,
        embed_dims=96,
        num_points=2,
        feedforward_channels=256,
        dropout=0.0),
    mask_branch=dict(in_channels=96, hidden_channels=32),
    num_classes=6,
    num_queries=50,
    # With a sixth of the queries, fewer can be near an object.
    assigner=dict(topk=5),
    positive_topk=5,
    ignore_topk=20)
