_base_ = [
    '../_base_/models/mask2former_r18_small.py', '../_base_/models/ctvis.py',
    '../_base_/schedules/small_mask2former.py'
]

model = dict(
    _base_.ctvis,
    segmenter=dict(embed_dims=96),
    ranking=dict(_base_.ctvis.ranking, num_pairs=10))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True, type='ClipSampler', num_frames=4, frame_range=10)))
# Trained on single frames by configs/minvis/minvis_r18_movingshapes.py.
load_from = ('{{ fileDirname }}/../../demo/weights/'
             'mask2former_r18_movingshapes.pth')
