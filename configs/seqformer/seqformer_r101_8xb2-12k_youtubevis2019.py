_base_ = [
    '../_base_/models/seqformer_r101.py',
    '../_base_/datasets/seqformer_youtube_vis_2019.py',
    '../_base_/schedules/seqformer_12k.py', '../_base_/default_runtime.py'
]

default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
