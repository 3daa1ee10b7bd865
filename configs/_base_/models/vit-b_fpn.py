# A plain ViT-b (MAE) and its feature pyramid.
vit_b = dict(
    type='MAEViT',
    patch_size=16,
    embed_dims=768,
    depth=12,
    num_heads=12,
    out_blocks=(5, 8, 11),
    out_scales=(2., 1., 0.5),
    reset_cls_after=(2, 5, 8, 11),
    with_cp=True,
    init_cfg=dict(
        type='Pretrained', checkpoint='checkpoints/mae_pretrain_vit_base.pth'))
vit_b_fpn = dict(
    type='FPN',
    in_channels=[768, 768, 768],
    out_channels=256,
    start_level=0,
    add_extra_convs='on_output',
    relu_before_extra_convs=True,
    num_outs=4)
