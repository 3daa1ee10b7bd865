# Table 7: pseudo-videos of 1 % of the frames.
_base_ = './ctvis_swin-l_table7-100_youtubevis2019.py'

train_dataloader = dict(dataset=dict(frame_share=0.01))
