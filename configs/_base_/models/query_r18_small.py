# What the small query-based models share, for a CPU: a pre-trained ResNet-18
# of a quarter of the usual width, three layers of 96 channels, 100 queries.
# One model of single frames can start all of them.
_base_ = './r18_small.py'

_layers = dict(
    num_layers=3,
    embed_dims=96,
    num_heads=6,
    num_points=2,
    feedforward_channels=256,
    dropout=0.0)
query_r18_small = dict(
    segmenter=dict(
        backbone=dict(_base_.r18_small, _delete_=True, out_indices=(1, 2, 3)),
        neck=dict(in_channels=[32, 64, 128], out_channels=96),
        encoder=_layers,
        decoder=_layers,
        mask_branch=dict(in_channels=96, hidden_channels=32),
        num_classes=6,
        num_queries=100))
