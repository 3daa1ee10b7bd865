# COCO as clips of one frame, in its own 80 classes; nothing to validate on.
_base_ = './instanceformer_pipelines.py'

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(
        type='CocoPseudoVideo',
        data_root='data/coco/',
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img_path='train2017'),
        num_frames=1,
        pipeline=_base_.instanceformer_coco_pipeline))
