# 12 epochs of SipMask with MemCNP: no multipliers of biases, clipped
# gradients.
_base_ = './sipmask_12e.py'
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=35, norm_type=2))
