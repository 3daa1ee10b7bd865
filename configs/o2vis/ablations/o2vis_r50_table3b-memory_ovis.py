# Table 3 (b): the memory asks in T_A.
_base_ = '../o2vis_r50_8xb1-160k-coco-joint_ovis.py'

model = dict(tracker=dict(anchor=dict(order='memory')))
