# Table 3 (a), row 7: all of it.
_base_ = '../o2vis_r50_8xb1-160k-coco-joint_ovis.py'
