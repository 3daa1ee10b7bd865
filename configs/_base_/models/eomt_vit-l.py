# What makes the segmenter of eomt_vit-s.py one on ViT-L.
_base_ = './eomt_vit-s.py'

model = dict(
    segmenter=dict(
        vit=dict(embed_dims=1024, depth=24, num_heads=16), num_blocks=4))
