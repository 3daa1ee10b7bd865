# Table 5, row 2: pseudo-videos of COCO alone, by rotation and crop.
_base_ = [
    '../ctvis_swin-l_8xb2-16k_youtubevis2021.py',
    '../../_base_/datasets/coco-classes.py'
]

train_dataloader = dict(
    dataset=dict(
        _base_.ctvis_pseudo['crop'],
        _delete_=True,
        class_map='ytvis2021'))
val_dataloader = _base_.coco_classes_youtubevis2021
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='data/youtube_vis_2021/train/coco-classes.json')
test_evaluator = val_evaluator
