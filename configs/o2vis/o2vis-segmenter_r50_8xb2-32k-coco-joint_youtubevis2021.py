# The segmenter of O2VIS, trained by contrast (eq 13) as the released CTVIS is.
# Its queries, ordered by those of the frame before, are row (1) of Table 3
# (a).
_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/models/minvis.py',
    '../_base_/models/ctvis.py', '../_base_/models/ctvis_official.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/datasets/ctvis_pipelines.py',
    '../_base_/schedules/mask2former_32k.py',
    '../_base_/default_runtime.py'
]

# The checkpoint brings the backbone.
model = dict(
    _base_.minvis,
    segmenter=dict(
        backbone=dict(init_cfg=None), embed_dims=256),
    loss_embed=dict(
        _base_.ctvis_contrast, **_base_.ctvis_official.loss_embed))
# Mask2Former on COCO, converted; its class layer starts anew.
load_from = 'checkpoints/mask2former_r50_coco.pth'
_clips = dict(
    _base_.ctvis_clips,
    clip_sampler=dict(
        _base_.ctvis_clips.clip_sampler, num_frames=10, frame_range=15))
train_dataloader = dict(
    batch_size=2,
    sampler=dict(ratios=(1, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.train_dataloader.dataset, **_clips),
            dict(_base_.ctvis_coco, class_map='ytvis2021', num_frames=10)
        ]))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4000))
log_processor = dict(by_epoch=False)
