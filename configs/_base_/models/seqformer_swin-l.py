# SeqFormer with Swin-L.
_base_ = ['./seqformer_r50.py', './swin-l.py']

model = dict(
    backbone=dict(
        _delete_=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/swin_large_patch4_window12_384_22k.pth'),
        **_base_.swin_l),
    neck=dict(in_channels=_base_.swin_l_channels))
