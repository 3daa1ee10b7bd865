# YouTubeVIS2021 in clips of four frames, together with pseudo clips of COCO,
# whose classes are matched by name.
_base_ = ['./youtube_vis_2021.py', './instanceformer_clips.py']

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.instanceformer_coco, class_map='ytvis2021'),
            dict(
                _base_.train_dataloader.dataset,
                **_base_.instanceformer_clips)
        ]))
val_dataloader = dict(
    dataset=dict(pipeline=_base_.instanceformer_test_pipeline))
test_dataloader = val_dataloader
