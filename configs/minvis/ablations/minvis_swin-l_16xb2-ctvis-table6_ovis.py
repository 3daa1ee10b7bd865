# Table 6 of CTVIS: images of COCO alone.
_base_ = [
    '../minvis_swin-l_16xb2-10k_ovis.py',
    '../../_base_/datasets/coco-classes.py'
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CocoPseudoVideo',
        data_root='data/coco/',
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
        num_frames=1,
        class_map='ovis',
        pipeline=_base_.minvis_train_pipeline))
val_dataloader = _base_.coco_classes_ovis
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='data/ovis/train_coco-classes.json')
test_evaluator = val_evaluator
