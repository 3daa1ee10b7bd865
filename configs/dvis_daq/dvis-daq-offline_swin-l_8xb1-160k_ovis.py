# The release has none on Swin-L: all but the backbone is that of ResNet-50.
_base_ = [
    './dvis-daq-offline_r50_8xb1-160k_ovis.py',
    '../_base_/models/mask2former_swin-l.py'
]

model = dict(segmenter=_base_.mask2former_swin_l)
# Trained online.
load_from = 'checkpoints/dvis-daq_swin-l_ovis.pth'
