# Starts from SipMask trained on COCO, as the released SipMask-VIS does.
_base_ = './sipmask_r50_fpn_8xb8-12e_youtubevis2021.py'

# The checkpoint brings the backbone.
model = dict(backbone=dict(init_cfg=None))
load_from = 'checkpoints/sipmask_r50_coco.pth'
