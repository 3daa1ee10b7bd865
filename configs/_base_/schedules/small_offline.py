# The same for a refiner: longer clips, half of them backwards, and fewer
# iterations, since what it reads is trained.
_base_ = './small_mask2former.py'

train_cfg = dict(max_iters=1500, val_interval=500)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=1500)
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        clip_sampler=dict(
            _delete_=True,
            type='ClipSampler',
            num_frames=8,
            frame_range=7,
            reverse_prob=0.5)))
