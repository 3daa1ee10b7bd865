# Clips of one image of COCO 2017 each. There is nothing to follow in them, so
# nothing is tested.
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
        clip_sampler=dict(type='KeyRefSampler', frame_range=None),
        num_frames=2))
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = None
test_evaluator = None
test_cfg = None
