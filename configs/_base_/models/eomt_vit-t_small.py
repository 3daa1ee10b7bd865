# A small encoder-only mask transformer for a CPU: six blocks of 128 channels
# on patches of 8 pixels, 30 queries. It starts from random weights, so that
# its branches count from the first step on.
_base_ = './eomt_vit-s.py'

model = dict(
    segmenter=dict(
        backbone=dict(
            embed_dims=128,
            depth=6,
            num_heads=4,
            patch_size=8,
            pos_grid=(16, 24),
            layer_scale=1.0),
        num_classes=6,
        num_queries=30),
    # A mask of 128x192 pixels has 1536 values.
    matcher=dict(costs=dict(mask=dict(num_points=768))),
    loss=dict(num_points=768))
