# What a checkpoint of the released CTVIS needs to give its own output, and how
# it was trained.
_base_ = [
    './ctvis_r50_8xb2-16k_ovis.py',
    '../_base_/models/ctvis_official.py'
]

model = _base_.ctvis_official
