# YouTubeVIS2022. Training data as in 2021; valid has 71 long videos more. The
# layout is that of the released archives; valid/instances.json has no
# annotations, so that testing writes a submission. With the ground truth of
# the closed server beside it (gt.json, gt_long.json), test with
# --ann-file data/youtube_vis_2022/gt.json: AP_L is then reported on the videos
# of gt_long.json.
_base_ = './clip_pipelines.py'

dataset_type = 'YouTubeVIS2022'
data_root = 'data/youtube_vis_2022/'

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages'),
        # The reference is at most 5 frames away from the key frame.
        clip_sampler=dict(type='KeyRefSampler', frame_range=5),
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoFrameSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='valid/instances.json',
        data_prefix=dict(img_path='valid/JPEGImages'),
        test_mode=True,
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='VISMetric',
    ann_file=f'{data_root}valid/instances.json',
    subsets=dict(L=f'{data_root}gt_long.json'))
test_evaluator = val_evaluator
val_cfg = dict(type='VideoValLoop')
test_cfg = dict(type='VideoTestLoop')
