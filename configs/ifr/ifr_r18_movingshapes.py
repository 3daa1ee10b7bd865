_base_ = [
    '../_base_/models/mask2former_r18_small.py', '../_base_/models/ifr.py',
    '../_base_/schedules/small_mask2former.py'
]

model = dict(
    _base_.ifr,
    segmenter=dict(decoder=dict(type='RecurrentDecoder')),
    loss=dict(_base_.ifr.loss, num_points=768))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True,
            type='ClipSampler',
            num_frames=4,
            frame_range=8,
            empty_frames=True)))
# Trained on single frames by configs/minvis/minvis_r18_movingshapes.py; the
# decoder layers and the classes start anew.
load_from = ('{{ fileDirname }}/../../demo/weights/'
             'mask2former_r18_movingshapes.pth')
