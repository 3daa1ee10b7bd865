# YouTubeVIS2019: 2021 with other classes and other names of the json files.
_base_ = './youtube_vis_2021.py'

dataset_type = 'YouTubeVIS2019'
data_root = 'data/youtube_vis_2019/'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='train.json'))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='valid.json'))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}valid.json')
test_evaluator = val_evaluator
