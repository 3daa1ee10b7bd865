# What makes the segmenter of mask2former_r50.py one on Swin-L: the backbone,
# whose weights the checkpoint brings, and twice the queries.
_base_ = './swin-l.py'

mask2former_swin_l = dict(
    backbone=dict(
        _delete_=True,
        **dict(_base_.swin_l, init_cfg=None, out_indices=(0, 1, 2, 3))),
    pixel_decoder=dict(in_channels=[192, *_base_.swin_l_channels]),
    decoder=dict(num_queries=200))
