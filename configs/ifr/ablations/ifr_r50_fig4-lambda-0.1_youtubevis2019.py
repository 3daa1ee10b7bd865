# Fig. 4: another weight of the losses across frames.
_base_ = './ifr_r50_table3_youtubevis2019.py'

model = dict(loss=dict(cross_weight=0.1))
