# What a checkpoint of the official SipMask-VIS code needs: nothing but the
# model, whose defaults are the official ones.
_base_ = '../_base_/models/sipmask_r50.py'
