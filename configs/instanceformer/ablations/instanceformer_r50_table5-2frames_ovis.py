_base_ = '../instanceformer_r50_4xb4-16e_ovis.py'

# Memory (3.3) and class prior (eq 2) look back equally far. A clip of three
# frames meets the oldest frame in store in training too.
model = dict(class_prior=dict(num_frames=2), memory=dict(num_frames=2))
