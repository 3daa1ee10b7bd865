# A small Mask2Former for a CPU: a pre-trained ResNet-18 of a quarter of the
# usual width, three layers of 96 channels, 30 queries.
_base_ = ['./mask2former_r50.py', './r18_small.py']

_layers = dict(
    num_layers=3, embed_dims=96, num_heads=6, feedforward_channels=256)
model = dict(
    segmenter=dict(
        backbone=dict(_base_.r18_small, _delete_=True),
        pixel_decoder=dict(
            in_channels=[16, 32, 64, 128],
            mask_dims=64,
            num_groups=8,
            encoder=dict(_layers, num_points=2)),
        decoder=dict(
            _layers, num_classes=6, num_queries=30, mask_dims=64)),
    # A mask of 128x192 pixels has 1536 values.
    matcher=dict(costs=dict(mask=dict(num_points=768))),
    loss=dict(num_points=768))
