# Table 3 (a), row 3: a memory with momentum.
_base_ = '../o2vis-segmenter_r50_8xb2-32k-coco-joint_ovis.py'

model = dict(
    tracker=dict(
        memory=dict(_delete_=True, type='MomentumMemory', momentum=0.99)))
