# Also trains on pseudo clips of COCO images, as the published numbers do.
# Their classes are matched with these by name.
_base_ = './seqformer_r50_8xb2-12k_youtubevis2019.py'

metainfo = dict(
    classes=('person', 'giant_panda', 'lizard', 'parrot', 'skateboard',
             'sedan', 'ape', 'dog', 'snake', 'monkey', 'hand',
             'rabbit', 'duck', 'cat', 'cow', 'fish', 'train',
             'horse', 'turtle', 'bear', 'motorbike',
             'giraffe', 'leopard', 'fox', 'deer', 'owl',
             'surfboard', 'airplane', 'truck', 'zebra',
             'tiger', 'elephant', 'snowboard', 'boat',
             'shark', 'mouse', 'frog', 'eagle',
             'earless_seal', 'tennis_racket'))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type=_base_.dataset_type,
                metainfo=metainfo,
                data_root=_base_.data_root,
                ann_file=_base_.train_dataloader.dataset.ann_file,
                data_prefix=_base_.train_dataloader.dataset.data_prefix,
                clip_sampler=_base_.train_dataloader.dataset.clip_sampler,
                pipeline=_base_.seqformer_train_pipeline),
            dict(
                type='CocoPseudoVideo',
                metainfo=metainfo,
                data_root='data/coco/',
                ann_file='annotations/instances_train2017.json',
                data_prefix=dict(img_path='train2017'),
                num_frames=5,
                pipeline=_base_.seqformer_pseudo_pipeline)
        ]))
