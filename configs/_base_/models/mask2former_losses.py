# Input, costs and losses of Mask2Former, which other segmenters share.
# The sources.yml of each system gives the source of every number.
model = dict(
    data_preprocessor=dict(
        type='TrackDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32),
    matcher=dict(
        costs=dict(
            cls=dict(type='SoftmaxCost', weight=2.0),
            mask=dict(
                type='SampledMaskCost',
                mask_weight=5.0,
                dice_weight=5.0,
                num_points=12544))),
    loss=dict(
        type='SampledMaskLoss',
        cls_weight=2.0,
        mask_weight=5.0,
        dice_weight=5.0,
        no_object_weight=0.1,
        num_points=12544,
        oversample_ratio=3.0,
        importance_ratio=0.75))
