# What the released script for YouTube-VIS builds: no memory, no contrast.
_base_ = './instanceformer_r50_official.py'

model = dict(memory=None, contrast=None)
