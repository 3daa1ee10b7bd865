_base_ = [
    '../_base_/models/mask2former_r50.py',
    '../_base_/models/mask2former_vis.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/datasets/mask2former_vis_pipelines.py',
    '../_base_/schedules/mask2former_8k.py', '../_base_/default_runtime.py'
]

model = dict(
    _base_.mask2former_vis, segmenter=_base_.mask2former_vis_segmenter)
# Mask2Former on COCO, converted; its class layer starts anew.
load_from = 'checkpoints/mask2former_r50_coco.pth'
train_dataloader = dict(batch_size=2, dataset=_base_.mask2former_vis_clips)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_360))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=16)
