# What makes the segmenter of eomt_vit-s.py one on ViT-L.
_base_ = './eomt_vit-s.py'

model = dict(
    segmenter=dict(
        backbone=dict(embed_dims=1024, depth=24, num_heads=16), num_blocks=4))
# Learning rates: a block of the ViT is 0.6 times as fast as the next one, what
# is in front of the blocks as the first of them.
layer_decay = {
    **{
        f'backbone.blocks.{i}.': dict(lr_mult=0.6**(23 - i))
        for i in range(24)
    },
    **{
        f'backbone.{name}': dict(lr_mult=0.6**23)
        for name in ('patch_embed', 'cls_token', 'reg_token', 'pos_embed')
    }
}
