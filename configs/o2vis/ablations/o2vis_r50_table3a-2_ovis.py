# Table 3 (a), row 2: a memory that moves by similarity.
_base_ = '../o2vis-segmenter_r50_8xb2-32k-coco-joint_ovis.py'

model = dict(
    tracker=dict(
        memory=dict(_delete_=True, type='SimilarityMemory', length=0)))
