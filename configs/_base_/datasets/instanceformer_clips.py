# Clips of four frames, of videos and of single images of COCO.
_base_ = './instanceformer_pipelines.py'

instanceformer_coco = dict(
    type='CocoPseudoVideo',
    data_root='data/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017'),
    num_frames=4,
    pipeline=_base_.instanceformer_coco_pipeline)
instanceformer_clips = dict(
    clip_sampler=dict(type='NearFarClipSampler', num_frames=4, near_range=3),
    pipeline=_base_.instanceformer_train_pipeline)
