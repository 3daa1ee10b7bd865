# Table 7: pseudo-videos of 5 % of the frames.
_base_ = './ctvis_swin-l_table7-100_youtubevis2021.py'

train_dataloader = dict(dataset=dict(frame_share=0.05))
