# What makes the segmenter of mask2former_r50.py one on ViT-H: the backbone,
# whose weights the checkpoint brings, and twice the queries. The ViT, which is
# frozen, is the one that O2VIS cites; its patches of 14 pixels are resampled.
mask2former_vit_h = dict(
    backbone=dict(
        _delete_=True,
        type='ViTAdapter',
        embed_dims=1280,
        stage_depths=(8, 8, 8, 8),
        num_heads=16,
        mlp_ratio=4.0,
        # 224 pixels in patches of 14.
        pos_grid=(16, 16),
        layer_scale=None,
        conv_channels=64,
        deform_heads=16,
        deform_points=4,
        ffn_ratio=0.25,
        extra_extractors=2,
        with_cp=True),
    pixel_decoder=dict(in_channels=[1280, 1280, 1280, 1280]),
    decoder=dict(num_queries=200))
