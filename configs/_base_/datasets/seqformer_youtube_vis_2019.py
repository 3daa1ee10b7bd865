# YouTubeVIS2019 in clips of five frames.
_base_ = ['./youtube_vis_2019.py', './seqformer_pipelines.py']

train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        # Four of the ten frames before and the ten after the key frame.
        clip_sampler=dict(
            _delete_=True,
            type='ClipSampler',
            num_frames=5,
            frame_range=10,
            empty_frames=True,
            replace=True),
        pipeline=_base_.seqformer_train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_360))
test_dataloader = val_dataloader
