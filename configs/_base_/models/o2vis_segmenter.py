# The segmenter of O2VIS in its own training, by contrast (eq 13) as the
# released CTVIS is. Its queries, ordered by those of the frame before, are row
# (1) of Table 3 (a).
_base_ = ['./minvis.py', './ctvis.py', './ctvis_official.py']

o2vis_contrast = dict(
    _base_.minvis,
    loss_embed=dict(
        _base_.ctvis_contrast, **_base_.ctvis_official.loss_embed))
# The checkpoint brings the backbone.
o2vis_contrast_segmenter = dict(
    backbone=dict(init_cfg=None), embed_dims=256)
