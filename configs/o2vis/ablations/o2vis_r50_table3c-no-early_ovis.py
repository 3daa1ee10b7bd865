# Table 3 (c): without early training.
_base_ = '../o2vis_r50_8xb1-160k-coco-joint_ovis.py'

model = dict(early=None)
