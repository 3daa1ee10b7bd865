_base_ = '../instanceformer_r50_4xb4-16e_youtubevis2022.py'

model = dict(memory=None, contrast=None)
