# Over-fits one clip, to show that model, losses, data and scores fit together:
# tools/benchmark/overfit_clip.py. The same frames are trained on and tested.
_base_ = [
    '../_base_/models/sipmask-memcnp_r18_small.py',
    '../_base_/datasets/vis_data.py', '../_base_/schedules/small_cpu.py',
    '../_base_/default_runtime.py'
]
data_root = 'data/one_clip/'
classes = ('person', 'backpack')
scale = (432, 240)

# Things may be small in a real clip: finer levels than MovingShapes takes.
model = dict(
    # The coarsest map only serves the top-down path.
    neck=dict(start_level=0, num_outs=4),
    # People walk past each other, slowly: their boxes overlap by more than
    # half, and overlap says more than usual from frame to frame.
    bbox_head=dict(
        num_classes=2,
        strides=(4, 8, 16),
        test_cfg=dict(nms_iou_thr=0.75)),
    tracker=dict(association=dict(iou_weight=4.)),
    # Thin things come out thinner than they are.
    mask_thr=0.3)

train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(_delete_=True, type='ResumableSampler'),
    dataset=dict(
        type='VISDataset',
        metainfo=dict(classes=classes),
        data_root=data_root,
        ann_file='instances.json',
        data_prefix=dict(img_path='JPEGImages'),
        clip_sampler=dict(frame_range=10),
        pipeline=[
            dict(
                type='TransformBroadcaster',
                share_random_params=True,
                transforms=[
                    dict(type='LoadFrame'),
                    dict(type='LoadVISAnnotations'),
                    dict(type='Resize', scale=scale, keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        type='VISDataset',
        metainfo=dict(classes=classes),
        data_root=data_root,
        ann_file='instances.json',
        data_prefix=dict(img_path='JPEGImages'),
        pipeline=[
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadFrame'),
                    dict(type='Resize', scale=scale, keep_ratio=True)
                ]),
            dict(type='PackTrackInputs')
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}instances.json')
test_evaluator = val_evaluator

optim_wrapper = dict(optimizer=dict(lr=7e-4))
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2))
log_processor = dict(by_epoch=False)
