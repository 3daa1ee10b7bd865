# A small IDOL for a CPU: a pre-trained ResNet-18 of a quarter of the usual
# width, three layers of 96 channels and 50 queries.
_base_ = ['./idol_r50.py', './r18_small.py']

model = dict(
    backbone=dict(
        _base_.r18_small, _delete_=True, out_indices=(1, 2, 3)),
    neck=dict(in_channels=[32, 64, 128], out_channels=96),
    encoder=dict(
        num_layers=3,
        embed_dims=96,
        num_heads=6,
        num_points=2,
        feedforward_channels=256,
        dropout=0.0),
    decoder=dict(
        num_layers=3,
        embed_dims=96,
        num_heads=6,
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
