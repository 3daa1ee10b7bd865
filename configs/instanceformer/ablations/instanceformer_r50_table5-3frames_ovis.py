_base_ = '../instanceformer_r50_4xb4-16e_ovis.py'

# Memory (3.3) and class prior (eq 2) look back equally far, and a clip is one
# frame longer, so that the oldest frame in store is met in training too.
model = dict(class_prior=dict(num_frames=3), memory=dict(num_frames=3))
train_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_dataloader.dataset.datasets[0], num_frames=4),
        dict(
            _base_.train_dataloader.dataset.datasets[1],
            clip_sampler=dict(
                type='NearFarClipSampler', num_frames=4, near_range=3))
    ]))
