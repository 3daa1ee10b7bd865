# Also trains on pseudo clips of COCO images, as the published numbers do: one
# image in several crops and scales, its objects mapped to the classes that
# both data sets have.
_base_ = './seqformer_r50_8xb2-12k_youtubevis2021.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            _base_.train_dataloader.dataset,
            dict(
                type='CocoPseudoVideo',
                data_root='data/coco/',
                ann_file='annotations/instances_train2017.json',
                data_prefix=dict(img_path='train2017'),
                num_frames=5,
                pipeline=_base_.seqformer_pseudo_pipeline)
        ]))
