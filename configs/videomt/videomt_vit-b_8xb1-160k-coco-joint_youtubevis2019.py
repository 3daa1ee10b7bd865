_base_ = [
    '../_base_/models/eomt_vit-b.py', '../_base_/models/videomt.py',
    '../_base_/datasets/videomt_youtube_vis_2019.py',
    '../_base_/schedules/videomt_160k.py', '../_base_/default_runtime.py'
]

model = _base_.videomt
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='ConcatDataset', datasets=_base_.videomt_data))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.layer_decay))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
# Trained on frames by eomt_vit-b_8xb1-20k-coco-joint_youtubevis2019.py.
load_from = 'checkpoints/eomt_vit-b_youtubevis2019.pth'
