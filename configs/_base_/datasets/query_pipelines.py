# What the pipelines of IDOL and SeqFormer share.
short_sides = (320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640)
load_transforms = [dict(type='LoadFrame'), dict(type='LoadVISAnnotations')]
resize_768 = dict(
    type='RandomChoiceResize',
    scales=[(768, side) for side in short_sides],
    keep_ratio=True)

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
