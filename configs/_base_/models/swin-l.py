# Swin-L of 384x384 pre-training; configs/idol/sources.yml.
swin_l = dict(
    type='SwinTransformer',
    pretrain_img_size=384,
    embed_dims=192,
    depths=(2, 2, 18, 2),
    num_heads=(6, 12, 24, 48),
    window_size=12,
    drop_path_rate=0.3,
    patch_norm=True,
    out_indices=(1, 2, 3),
    convert_weights=True)
swin_l_channels = [384, 768, 1536]
