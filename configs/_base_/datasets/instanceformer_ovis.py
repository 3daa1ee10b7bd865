# OVIS in clips of three frames, together with pseudo clips of COCO, whose
# classes are matched by name.
_base_ = ['./ovis.py', './instanceformer_clips.py']

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                _base_.instanceformer_coco, class_map='ovis', num_frames=3),
            dict(
                _base_.train_dataloader.dataset,
                clip_sampler=dict(
                    _base_.instanceformer_clips.clip_sampler, num_frames=3),
                pipeline=_base_.instanceformer_train_pipeline)
        ]))
val_dataloader = dict(
    dataset=dict(pipeline=_base_.instanceformer_test_pipeline))
test_dataloader = val_dataloader
