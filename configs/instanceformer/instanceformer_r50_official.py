# For checkpoints of the released code that were trained on YouTube-VIS 2019.
_base_ = [
    './instanceformer_r50_4xb4-16e_youtubevis2019.py',
    '../_base_/models/instanceformer_official.py'
]

model = _base_.instanceformer_official
