# What a checkpoint of the released IDOL needs to give its own output.
_base_ = './idol_r50_8xb2-12k_ovis.py'

model = dict(segmenter=dict(encoder=dict(extra_level_mask='finest')))
