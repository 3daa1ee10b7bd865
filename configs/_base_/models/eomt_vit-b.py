# What makes the segmenter of eomt_vit-s.py one on ViT-B.
_base_ = './eomt_vit-s.py'

model = dict(segmenter=dict(backbone=dict(embed_dims=768, num_heads=12)))
