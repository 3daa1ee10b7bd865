_base_ = [
    '../_base_/models/mask2former_r18_small.py',
    '../_base_/models/o2vis.py', '../_base_/models/o2vis_offline.py',
    '../_base_/schedules/small_offline.py'
]

_sizes = dict(
    num_classes=6,
    embed_dims=96,
    num_heads=6,
    feedforward_channels=256,
    mask_dims=64)
model = dict(
    _base_.o2vis_offline,
    segmenter=dict(frozen=True),
    tracker=dict(_base_.o2vis.tracker, **_sizes),
    refiner=dict(_base_.o2vis_offline.refiner, num_layers=3, **_sizes))
# Trained online by o2vis_r18_movingshapes.py.
load_from = 'checkpoints/o2vis_r18_movingshapes.pth'
