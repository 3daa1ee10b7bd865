# The same head without memory and distribution: what MemCNP is compared with.
# USS needs standard deviations, so that samples are selected as in the host.
_base_ = './sipmask-memcnp_r18_movingshapes.py'

model = dict(
    bbox_head=dict(
        memcnp=None,
        assigner=dict(
            type='FCOSPointAssigner',
            regress_ranges=((-1, 32), (32, 64), (64, 1e8)),
            center_sampling=True),
        loss_track=dict(
            type='ContrastiveTrackingLoss', temperature=0.1,
            loss_weight=0.25)))
