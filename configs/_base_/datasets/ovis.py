# OVIS. The layout is that of the released archives; the released
# annotations_valid.json has no annotations, so that testing writes a
# submission.
_base_ = ['./vis_data.py', './clip_pipelines.py']

dataset_type = 'OVIS'
data_root = 'data/ovis/'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations_train.json',
        data_prefix=dict(img_path='train'),
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations_valid.json',
        data_prefix=dict(img_path='valid'),
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}annotations_valid.json')
test_evaluator = val_evaluator
