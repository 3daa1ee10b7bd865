_base_ = '../instanceformer_r50_4xb4-16e_ovis.py'

model = dict(memory=dict(num_frames=2))
