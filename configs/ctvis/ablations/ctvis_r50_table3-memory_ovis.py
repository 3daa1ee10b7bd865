# Table 3, row 2: a memory of the latest embeddings, no noise.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_ovis.py'

model = dict(
    loss_embed=dict(
        memory=dict(_delete_=True, type='LatestMemory'), noise_prob=0.0))
