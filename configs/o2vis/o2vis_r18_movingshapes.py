_base_ = [
    '../_base_/models/mask2former_r18_small.py',
    '../_base_/models/o2vis.py',
    '../_base_/schedules/small_mask2former.py'
]

model = dict(
    _base_.o2vis,
    segmenter=dict(frozen=True),
    tracker=dict(
        _base_.o2vis.tracker,
        num_classes=6,
        embed_dims=96,
        num_heads=6,
        feedforward_channels=256,
        mask_dims=64))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True, type='ClipSampler', num_frames=5, frame_range=4)))
# Trained on single frames by configs/minvis/minvis_r18_movingshapes.py.
load_from = ('{{ fileDirname }}/../../demo/weights/'
             'mask2former_r18_movingshapes.pth')
