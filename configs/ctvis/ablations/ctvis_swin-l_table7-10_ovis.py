# Table 7: pseudo-videos of 10 % of the frames.
_base_ = './ctvis_swin-l_table7-100_ovis.py'

train_dataloader = dict(dataset=dict(frame_share=0.1))
