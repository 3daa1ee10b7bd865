# Loaders and loops of a data set of videos. A data set names its type, paths
# and pipelines: ovis.py.
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    # The reference is at most 5 frames away from the key frame.
    dataset=dict(clip_sampler=dict(type='KeyRefSampler', frame_range=5)))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='VideoFrameSampler'),
    dataset=dict(test_mode=True))
test_dataloader = val_dataloader

val_evaluator = dict(type='VISMetric')
test_evaluator = val_evaluator
val_cfg = dict(type='VideoValLoop')
test_cfg = dict(type='VideoTestLoop')
