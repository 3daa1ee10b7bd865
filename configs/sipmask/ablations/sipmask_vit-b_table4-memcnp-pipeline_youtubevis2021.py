# The host of Table 4 with data, schedule, test size and score threshold of
# SipMask with MemCNP, so that head and tracker alone differ.
_base_ = [
    '../../_base_/models/sipmask_vit-b.py',
    '../../_base_/datasets/youtube_vis_2021.py',
    '../../_base_/schedules/memcnp_12e.py', '../../_base_/default_runtime.py'
]

model = dict(bbox_head=dict(test_cfg=dict(score_thr=0.015)))
