# What Mask2Former-VIS adds to the Mask2Former of single frames: its decoder
# reads all frames of a clip.
mask2former_vis = dict(
    type='Mask2FormerVIS',
    top_k=10,
    ranking=dict(type='LatestClass', score_thr=0.0, num_pairs=10))
mask2former_vis_segmenter = dict(
    # The checkpoint brings the backbone.
    backbone=dict(init_cfg=None),
    decoder=dict(type='Mask2FormerVideoDecoder'))
