# Clips as those of DVIS-DAQ; tests at the sizes of VidEoMT.
_base_ = './dvis_daq_pipelines.py'

# The short side is 448 or 544, the long side at most 1333.
test_pipeline_448, test_pipeline_544 = [[
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(1333, side), keep_ratio=True),
        ]),
    dict(type='PackTrackInputs'),
] for side in (448, 544)]
eomt_frame = dict(
    type='ClipSampler', num_frames=1, frame_range=0, empty_frames=True)
