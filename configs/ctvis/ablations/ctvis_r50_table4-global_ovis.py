# Table 4, row 3: queries without an object come from all frames before.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_ovis.py'

model = dict(loss_embed=dict(supplementary='global'))
