# What IDOL, SeqFormer and InstanceFormer share: a Deformable DETR on a
# ResNet-50, with a mask branch. The sources.yml of each gives the source of
# every number.
model = dict(
    data_preprocessor=dict(
        type='TrackDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32),
    segmenter=dict(
        type='DeformableSegmenter',
        backbone=dict(
            type='ResNet',
            depth=50,
            num_stages=4,
            out_indices=(1, 2, 3),
            frozen_stages=1,
            norm_cfg=dict(type='BN', requires_grad=False),
            norm_eval=True,
            style='pytorch',
            # torchvision's, ImageNet; fetched at the first training.
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'
            )),
        neck=dict(
            type='ChannelMapper',
            in_channels=[512, 1024, 2048],
            kernel_size=1,
            out_channels=256,
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=None,
            bias=True,
            num_outs=4),
        encoder=dict(
            type='DeformableEncoder',
            num_layers=6,
            embed_dims=256,
            num_levels=4,
            num_heads=8,
            num_points=4,
            feedforward_channels=1024,
            dropout=0.1),
        # Each system has a type of its own.
        decoder=dict(
            num_layers=6,
            embed_dims=256,
            num_levels=4,
            num_heads=8,
            num_points=4,
            feedforward_channels=1024,
            dropout=0.1),
        mask_branch=dict(
            type='MaskBranch', in_channels=256, hidden_channels=64,
            out_channels=8),
        num_classes=40,
        num_queries=300))
