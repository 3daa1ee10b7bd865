# Also trains on pseudo clips of COCO images, as the published numbers do.
# Their classes are matched with these by name.
_base_ = [
    './seqformer_r50_8xb2-12k_youtubevis2019.py',
    '../_base_/datasets/youtube_vis_2019_classes.py'
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.train_dataloader.dataset, metainfo=_base_.metainfo),
            dict(_base_.seqformer_coco, metainfo=_base_.metainfo)
        ]))
