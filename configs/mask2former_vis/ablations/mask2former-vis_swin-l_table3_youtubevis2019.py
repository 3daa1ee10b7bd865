# Table 3 of IFR, tracking scores on 400 videos of the training set.
_base_ = [
    '../mask2former-vis_swin-l_8xb2-6k_youtubevis2019.py',
    '../../_base_/datasets/youtube_vis_split-400.py'
]

train_dataloader = _base_.split_train
val_dataloader = _base_.split_dev
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file='data/youtube_vis_2019/dev_split-400.json')
test_evaluator = val_evaluator
