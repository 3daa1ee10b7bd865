# An encoder-only mask transformer on DINOv2 ViT-S with registers, as the
# segmenter of VidEoMT. configs/videomt/sources.yml gives the source of every
# number.
_base_ = './mask2former_losses.py'

model = dict(
    segmenter=dict(
        type='EoMTSegmenter',
        backbone=dict(
            type='DINOv2',
            embed_dims=384,
            depth=12,
            num_heads=6,
            mlp_ratio=4.0,
            patch_size=16,
            pos_grid=(40, 40),
            num_registers=4,
            layer_scale=1e-5),
        num_classes=40,
        num_queries=200,
        num_blocks=3))
# Learning rates: a block of the ViT is 0.6 times as fast as the next one, what
# is in front of the blocks as the first of them.
layer_decay = {
    **{
        f'backbone.blocks.{i}.': dict(lr_mult=0.6**(11 - i))
        for i in range(12)
    },
    **{
        f'backbone.{name}': dict(lr_mult=0.6**11)
        for name in ('patch_embed', 'cls_token', 'reg_token', 'pos_embed')
    }
}
