# Table 4, TTA: short sides of 360, 420, 480 and 540 pixels, the others matched
# to 480. Frames come in the largest.
_base_ = '../ifr_swin-l_8xb2-8k_youtubevis2021.py'

model = dict(
    scales=(0.6667, 0.7778, 0.8889, 1.0),
    pivot=2,
    # 81 frames of 544x960; the videos of 2019 have up to 36.
    max_bytes=10 * 2**30)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadFrame'),
                    dict(type='Resize', scale=(1333, 540), keep_ratio=True),
                ]),
            dict(type='PackTrackInputs'),
        ]))
test_dataloader = val_dataloader
