# For checkpoints of the released code that were trained on OVIS.
_base_ = [
    './instanceformer_r50_4xb4-16e_ovis.py',
    '../_base_/models/instanceformer_official.py'
]

model = _base_.instanceformer_official
