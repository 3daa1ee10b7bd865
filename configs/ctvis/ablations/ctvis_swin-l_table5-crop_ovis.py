# Table 5, row 2: pseudo-videos of COCO alone, by rotation and crop.
_base_ = '../ctvis_swin-l_8xb2-16k_ovis.py'

train_dataloader = dict(
    dataset=dict(
        _base_.ctvis_pseudo['crop'],
        _delete_=True,
        class_map='ovis',
        num_frames=10))
