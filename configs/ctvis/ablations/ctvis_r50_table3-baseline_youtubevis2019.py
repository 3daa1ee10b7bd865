# Table 3, row 1: each frame against the one before, without a memory.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_youtubevis2019.py'

model = dict(
    loss_embed=dict(
        _delete_=True,
        type='ReferenceContrast',
        reference='previous',
        loss=_base_.ctvis_embed_loss))
