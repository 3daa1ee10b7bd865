# Table 3, row 3: the memory averages, no noise.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_ovis.py'

model = dict(loss_embed=dict(noise_prob=0.0))
