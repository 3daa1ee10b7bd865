_base_ = [
    '../_base_/models/mask2former_r50.py', '../_base_/models/ctvis.py',
    '../_base_/datasets/ovis.py',
    '../_base_/datasets/ctvis_pipelines.py',
    '../_base_/schedules/mask2former_16k.py', '../_base_/default_runtime.py'
]

# The checkpoint brings the backbone.
model = dict(
    _base_.ctvis,
    segmenter=dict(
        backbone=dict(init_cfg=None),
        decoder=dict(num_classes=25),
        embed_dims=256),
    ranking=dict(_base_.ctvis.ranking, num_pairs=25))
# Mask2Former on COCO, converted; its class layer starts anew.
load_from = 'checkpoints/mask2former_r50_coco.pth'
train_dataloader = dict(
    batch_size=2, dataset=_base_.ctvis_long_clips)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline_480))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=2000))
log_processor = dict(by_epoch=False)
