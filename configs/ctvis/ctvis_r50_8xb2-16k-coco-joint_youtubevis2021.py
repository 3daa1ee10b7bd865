# Also trains on pseudo clips of COCO images, as the published numbers do.
_base_ = './ctvis_r50_8xb2-16k_youtubevis2021.py'

train_dataloader = dict(
    sampler=dict(ratios=(0.8, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            _base_.train_dataloader.dataset,
            dict(_base_.ctvis_coco, class_map='ytvis2021')
        ]))
