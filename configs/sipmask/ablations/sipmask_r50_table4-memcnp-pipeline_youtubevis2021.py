# The host of Table 4 with data, schedule and test size of SipMask with MemCNP,
# so that head and tracker alone differ.
_base_ = [
    '../../_base_/models/sipmask_r50.py',
    '../../_base_/datasets/youtube_vis_2021.py',
    '../../_base_/schedules/memcnp_12e.py', '../../_base_/default_runtime.py'
]

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True))
