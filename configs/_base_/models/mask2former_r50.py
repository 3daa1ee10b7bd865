# Mask2Former on a ResNet-50 as the segmenter of MinVIS and of what followed
# it. The sources.yml of each system gives the source of every number.
_base_ = './mask2former_losses.py'

model = dict(
    segmenter=dict(
        type='Mask2FormerSegmenter',
        backbone=dict(
            type='ResNet',
            depth=50,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            frozen_stages=-1,
            norm_cfg=dict(type='BN', requires_grad=False),
            norm_eval=True,
            style='pytorch',
            # torchvision's, ImageNet; fetched at the first training.
            init_cfg=dict(
                type='Pretrained',
                checkpoint=(
                    'https://download.pytorch.org/models/resnet50-0676ba61.pth'
                ))),
        pixel_decoder=dict(
            type='Mask2FormerPixelDecoder',
            in_channels=[256, 512, 1024, 2048],
            mask_dims=256,
            num_groups=32,
            encoder=dict(
                type='DeformableEncoder',
                num_layers=6,
                embed_dims=256,
                num_levels=3,
                num_heads=8,
                num_points=4,
                feedforward_channels=1024,
                dropout=0.0,
                position_offset=0.0)),
        decoder=dict(
            type='Mask2FormerDecoder',
            num_classes=40,
            num_queries=100,
            num_layers=9,
            num_levels=3,
            embed_dims=256,
            num_heads=8,
            feedforward_channels=2048,
            mask_dims=256)),
    matcher=dict(type='OneToOneMatcher'))
