# Also trains on pseudo clips of COCO images, as the published numbers do.
_base_ = './o2vis_r50_8xb1-160k_youtubevis2019.py'

train_dataloader = dict(
    sampler=dict(ratios=(1, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            _base_.train_dataloader.dataset,
            dict(_base_.dvis_daq_coco, class_map='ytvis2019')
        ]))
