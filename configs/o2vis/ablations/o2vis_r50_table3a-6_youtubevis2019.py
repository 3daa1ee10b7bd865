# Table 3 (a), row 6: T_E alone. The memory holds queries of the segmenter,
# whose order is early in all of the training.
_base_ = '../o2vis_r50_8xb1-160k-coco-joint_youtubevis2019.py'

model = dict(
    tracker=dict(num_existing=6, num_aligning=0),
    early=dict(memory=dict(_delete_=True, type='OccupancyMemory')),
    early_share=1.0)
train_cfg = dict(max_iters=40000, val_interval=40000)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=40000, milestones=[28000])
]
