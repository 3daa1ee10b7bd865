# What a checkpoint of the released SipMask-VIS needs: nothing beyond the
# defaults, which are the released ones.
_base_ = './sipmask_r50_fpn_8xb8-12e_youtubevis2021.py'
