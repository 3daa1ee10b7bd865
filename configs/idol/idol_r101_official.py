# What a checkpoint of the released IDOL needs to give its own output.
_base_ = './idol_r101_8xb4-12k_youtubevis2019.py'

model = dict(segmenter=dict(encoder=dict(extra_level_mask='finest')))
