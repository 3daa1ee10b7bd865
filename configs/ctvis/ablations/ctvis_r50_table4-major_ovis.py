# Table 4, row 2: negatives are other objects in the memory alone.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_ovis.py'

model = dict(loss_embed=dict(supplementary=None))
