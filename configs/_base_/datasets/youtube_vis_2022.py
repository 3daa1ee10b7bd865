# YouTubeVIS2022: 2021 with 71 long videos more in valid. With the ground truth
# of the closed server beside it (gt.json, gt_long.json), test with
# --ann-file data/youtube_vis_2022/gt.json: AP_L is then reported on the videos
# of gt_long.json.
_base_ = './youtube_vis_2021.py'

dataset_type = 'YouTubeVIS2022'
data_root = 'data/youtube_vis_2022/'

train_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file=f'{data_root}valid/instances.json',
    subsets=dict(L=f'{data_root}gt_long.json'))
test_evaluator = val_evaluator
