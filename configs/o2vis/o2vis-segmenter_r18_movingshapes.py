# The small segmenter of O2VIS, trained by contrast (eq 13); its queries,
# ordered by those of the frame before, are row (1) of Table 3 (a).
_base_ = [
    '../_base_/models/mask2former_r18_small.py',
    '../_base_/models/o2vis_segmenter.py',
    '../_base_/schedules/small_mask2former.py'
]

model = dict(_base_.o2vis_contrast, segmenter=dict(embed_dims=96))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True, type='ClipSampler', num_frames=4, frame_range=10)))
# Trained on single frames by configs/minvis/minvis_r18_movingshapes.py.
load_from = ('{{ fileDirname }}/../../demo/weights/'
             'mask2former_r18_movingshapes.pth')
