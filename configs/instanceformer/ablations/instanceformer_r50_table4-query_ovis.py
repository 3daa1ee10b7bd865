_base_ = '../instanceformer_r50_4xb4-16e_ovis.py'

model = dict(
    reference_prior=dict(combine=None),
    class_prior=None,
    memory=None,
    contrast=None)
