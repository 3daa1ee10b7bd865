# For checkpoints of the released code that were trained on YouTube-VIS 2022.
_base_ = [
    './instanceformer_r50_4xb4-16e_youtubevis2022.py',
    '../_base_/models/instanceformer_official.py'
]

model = _base_.instanceformer_official
