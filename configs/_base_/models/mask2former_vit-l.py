# What makes the segmenter of mask2former_r50.py one on ViT-L: the backbone,
# whose weights the checkpoint brings, and twice the queries.
mask2former_vit_l = dict(
    backbone=dict(
        _delete_=True,
        type='ViTAdapter',
        embed_dims=1024,
        stage_depths=(6, 6, 6, 6),
        num_heads=16,
        mlp_ratio=4.0,
        pos_grid=(37, 37),
        conv_channels=64,
        deform_heads=16,
        deform_points=4,
        ffn_ratio=0.25,
        extra_extractors=2,
        with_cp=True),
    pixel_decoder=dict(in_channels=[1024, 1024, 1024, 1024]),
    decoder=dict(num_queries=200))
