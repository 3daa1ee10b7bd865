# YouTubeVIS2021. The layout is that of the released archives; the released
# valid/instances.json has no annotations, so that testing writes a
# submission.
_base_ = ['./vis_data.py', './clip_pipelines.py']

dataset_type = 'YouTubeVIS2021'
data_root = 'data/youtube_vis_2021/'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='valid/instances.json',
        data_prefix=dict(img_path='valid/JPEGImages'),
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}valid/instances.json')
test_evaluator = val_evaluator
