_base_ = './seqformer_pipelines.py'

# The frames of a clip share everything: half of the clips are cropped, then
# all get a scale and a flip.
ctvis_train_pipeline = [
    dict(type='TransformBroadcaster', transforms=_base_.load_transforms),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[_base_.crop_384_600])
        ]),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            _base_.resize_768,
            dict(type='RandomFlip', prob=0.5),
        ]),
    dict(type='PackTrackInputs'),
]
# Clips of 8 frames, the others at most 20 away from the one drawn first.
ctvis_clips = dict(
    clip_sampler=dict(
        type='ClipSampler',
        num_frames=8,
        frame_range=20,
        empty_frames=True,
        replace=True),
    pipeline=ctvis_train_pipeline)
# Pseudo clips of COCO images beside the videos: every copy of an image has
# its own scale, crop and flip.
ctvis_coco = dict(_base_.seqformer_coco, num_frames=8)
