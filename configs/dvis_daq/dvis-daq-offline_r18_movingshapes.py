_base_ = [
    '../_base_/models/mask2former_r18_small.py',
    '../_base_/models/dvis_daq.py', '../_base_/models/dvis_daq_offline.py',
    '../_base_/schedules/small_offline.py'
]

_sizes = dict(
    num_classes=6,
    num_layers=3,
    embed_dims=96,
    num_heads=6,
    feedforward_channels=256,
    mask_dims=64)
model = dict(
    _base_.dvis_daq_offline,
    segmenter=dict(frozen=True),
    tracker=dict(_base_.dvis_daq.tracker, **_sizes),
    refiner=dict(_base_.dvis_daq_offline.refiner, **_sizes),
    num_tracks=15,
    ranking=dict(_base_.dvis_daq_offline.ranking, num_pairs=10))
# Trained online by dvis-daq_r18_movingshapes.py.
load_from = 'checkpoints/dvis-daq_r18_movingshapes.pth'
