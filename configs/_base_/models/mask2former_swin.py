# What makes the segmenter of mask2former_r50.py one on a smaller Swin; the
# checkpoint brings the weights of the backbone.
_base_ = './swin-l.py'

mask2former_swin_t, mask2former_swin_s, mask2former_swin_b = [
    dict(
        backbone=dict(
            _delete_=True,
            **dict(
                _base_.swin_l,
                init_cfg=None,
                out_indices=(0, 1, 2, 3),
                embed_dims=width,
                depths=depths,
                num_heads=tuple(width // 32 * 2**i for i in range(4)),
                pretrain_img_size=size,
                window_size=window)),
        pixel_decoder=dict(in_channels=[width * 2**i for i in range(4)]))
    for width, depths, size, window in (
        (96, (2, 2, 6, 2), 224, 7), (96, (2, 2, 18, 2), 224, 7),
        (128, (2, 2, 18, 2), 384, 12))
]
