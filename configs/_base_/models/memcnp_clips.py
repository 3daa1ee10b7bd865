# MemCNP on a host with queries of clips: configs/seqformer/sources.yml gives
# the source of every number.
memcnp_clips = dict(
    memcnp=dict(
        type='MemCNP', num_items=128, rate=0.999, learnable=False),
    memcnp_loss=dict(
        type='ClipMemCNPLoss',
        assigner=dict(type='QueryUSSAssigner', topk=5, lambda_tau=0.5),
        loss_cnp=dict(
            type='MemCNPLoss', rule='gmm', sigma_weight=1.0, alpha='points'),
        contrast=True,
        loss_track=dict(
            type='ContrastiveTrackingLoss', temperature=0.1,
            loss_weight=1.0)))
