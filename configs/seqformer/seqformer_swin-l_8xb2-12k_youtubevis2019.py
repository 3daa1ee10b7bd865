_base_ = [
    '../_base_/models/seqformer_swin-l.py',
    '../_base_/datasets/seqformer_youtube_vis_2019.py',
    '../_base_/schedules/seqformer_12k.py', '../_base_/default_runtime.py'
]

train_dataloader = dict(
    dataset=dict(
        clip_sampler=dict(frame_range=15),
        pipeline=_base_.seqformer_train_pipeline_768))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
