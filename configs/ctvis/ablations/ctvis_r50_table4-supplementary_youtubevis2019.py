# Table 4, row 1: negatives are queries without an object alone.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_youtubevis2019.py'

model = dict(loss_embed=dict(major=None))
