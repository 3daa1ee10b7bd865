# Also trains on pseudo clips of COCO images, as the published numbers do.
# Their classes are matched with these by name.
_base_ = './seqformer_r50_8xb2-12k_youtubevis2021.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            _base_.train_dataloader.dataset,
            dict(_base_.seqformer_coco, class_map='ytvis2021')
        ]))
