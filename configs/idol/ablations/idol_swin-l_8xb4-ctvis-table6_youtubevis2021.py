# Table 6 of CTVIS: pairs of views of images of COCO alone.
_base_ = [
    '../idol_swin-l_8xb4-12k_youtubevis2021.py',
    '../../_base_/datasets/coco-classes.py'
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CocoPseudoVideo',
        data_root='data/coco/',
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
        clip_sampler=dict(type='KeyRefSampler', frame_range=None),
        num_frames=2,
        class_map='ytvis2021',
        pipeline=_base_.coco_train_pipeline))
val_dataloader = _base_.coco_classes_youtubevis2021
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='data/youtube_vis_2021/train/coco-classes.json')
test_evaluator = val_evaluator
