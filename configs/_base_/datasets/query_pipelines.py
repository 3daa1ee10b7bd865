# What the pipelines of IDOL and SeqFormer share.
load_transforms = [dict(type='LoadFrame'), dict(type='LoadVISAnnotations')]
# Boxes follow what is left of the masks; what is gone counts as absent.
crop_384_600 = dict(
    type='RandomCrop',
    crop_type='absolute_range',
    crop_size=(384, 600),
    allow_negative_crop=True,
    recompute_bbox=True)
# The long side is at most 768 or 1333.
resize_768, resize_1333 = [
    dict(
        type='RandomChoiceResize',
        scales=[(long_side, side)
                for side in (320, 352, 392, *range(416, 641, 32))],
        keep_ratio=True) for long_side in (768, 1333)
]

# The short side is 360, 480 or 720, the long side at most 1333.
test_pipeline_360, test_pipeline_480, test_pipeline_720 = [[
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, side), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
] for side in (360, 480, 720)]
