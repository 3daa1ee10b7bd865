# Table 5, row 1: pseudo-videos of COCO alone, by rotation alone.
_base_ = '../ctvis_swin-l_8xb2-16k_ovis.py'

train_dataloader = dict(
    dataset=dict(
        _base_.ctvis_pseudo['rotation'],
        _delete_=True,
        class_map='ovis',
        num_frames=10))
