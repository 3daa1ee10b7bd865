# The first stage of the small query-based models: instances of single frames,
# what COCO is for the large ones. Four frames a process, meant for two.
_base_ = './idol_r18_movingshapes.py'

model = dict(loss_embed=None)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_dataloader = dict(
    dataset=dict(
        clip_sampler=dict(_delete_=True, type='ClipSampler', num_frames=1)))
# There are no tracks to judge yet.
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
load_from = None
