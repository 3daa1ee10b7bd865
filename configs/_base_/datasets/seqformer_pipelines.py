_base_ = './query_pipelines.py'

# The frames of a clip get the same scale and flip; no crop. The long side is
# at most 1333, with Swin-L 768.
seqformer_train_pipeline, seqformer_train_pipeline_768 = [[
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            *_base_.load_transforms,
            resize,
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
] for resize in (_base_.resize_1333, _base_.resize_768)]
# Pseudo clips: every copy of the image has its own scale, crop and flip.
seqformer_pseudo_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=False,
        transforms=[
            *_base_.load_transforms,
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, 400), (1333, 500), (1333, 600)],
                keep_ratio=True),
            _base_.crop_384_600,
            _base_.resize_768,
        ]),
    dict(type='PadClip'),
    dict(type='PackTrackInputs'),
]
seqformer_coco = dict(
    type='CocoPseudoVideo',
    data_root='data/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017'),
    num_frames=5,
    pipeline=seqformer_pseudo_pipeline)
