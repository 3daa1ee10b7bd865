# Table 3 (a), row 4: the occupancy memory.
_base_ = '../o2vis-segmenter_r50_8xb2-32k-coco-joint_ovis.py'

model = dict(
    tracker=dict(memory=dict(_delete_=True, type='OccupancyMemory')))
