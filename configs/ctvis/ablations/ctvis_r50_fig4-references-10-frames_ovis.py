# Fig. 4, the baseline of multiple references: clips of 10 frames, one frame
# against all others.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_ovis.py'

model = dict(
    loss_embed=dict(
        _delete_=True,
        type='ReferenceContrast',
        reference='all',
        loss=_base_.ctvis_embed_loss))
