# The tracker of DVIS++ in its place, without the noise of its training.
_base_ = '../o2vis_r50_8xb1-160k-coco-joint_ovis.py'

model = dict(
    tracker=dict(
        _delete_=True,
        type='ReferringTracker',
        num_classes=25,
        num_layers=6,
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        mask_dims=256,
        association=dict(type='HungarianAssociation'),
        memory=dict(type='LatestMemory')))
