# Table 5, row 2: pseudo-videos of COCO alone, by rotation and crop.
_base_ = [
    '../ctvis_swin-l_8xb2-16k_ovis.py',
    '../../_base_/datasets/coco-classes.py'
]

train_dataloader = dict(
    dataset=dict(
        _base_.ctvis_pseudo['crop'],
        _delete_=True,
        class_map='ovis',
        num_frames=10))
val_dataloader = _base_.coco_classes_ovis
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='data/ovis/train_coco-classes.json')
test_evaluator = val_evaluator
