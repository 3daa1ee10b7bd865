# YouTubeVIS2022 in clips of four frames, together with pseudo clips of COCO,
# whose classes are matched by name.
_base_ = ['./youtube_vis_2022.py', './instanceformer_pipelines.py']

instanceformer_metainfo = dict(
    classes=('airplane', 'bear', 'bird', 'boat', 'car', 'cat', 'cow', 'deer',
             'dog', 'duck', 'earless_seal', 'elephant', 'fish', 'flying_disc',
             'fox', 'frog', 'giant_panda', 'giraffe', 'horse', 'leopard',
             'lizard', 'monkey', 'motorbike', 'mouse', 'parrot', 'person',
             'rabbit', 'shark', 'skateboard', 'snake', 'snowboard', 'squirrel',
             'surfboard', 'tennis_racket', 'tiger', 'train', 'truck', 'turtle',
             'whale', 'zebra'))

train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='CocoPseudoVideo',
                metainfo=instanceformer_metainfo,
                data_root='data/coco/',
                ann_file='annotations/instances_train2017.json',
                data_prefix=dict(img_path='train2017'),
                num_frames=4,
                pipeline=_base_.instanceformer_coco_pipeline),
            dict(
                type=_base_.dataset_type,
                metainfo=instanceformer_metainfo,
                data_root=_base_.data_root,
                ann_file=_base_.train_dataloader.dataset.ann_file,
                data_prefix=_base_.train_dataloader.dataset.data_prefix,
                clip_sampler=dict(
                    type='NearFarClipSampler',
                    num_frames=4,
                    near_range=3),
                pipeline=_base_.instanceformer_train_pipeline)
        ]))
val_dataloader = dict(
    dataset=dict(pipeline=_base_.instanceformer_test_pipeline))
test_dataloader = val_dataloader
