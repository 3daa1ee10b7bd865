# What MemCNP changes in IDOL: configs/idol/sources.yml gives the source of
# every number.
idol_memcnp = dict(
    memcnp=dict(
        type='MemCNP', num_items=128, rate=0.999, learnable=False),
    memcnp_training=dict(
        type='MemCNPQueryTraining',
        assigner=dict(type='QueryUSSAssigner', topk=5, lambda_tau=0.5),
        loss_cnp=dict(
            type='MemCNPLoss', rule='gmm', sigma_weight=1.0, alpha='points'),
        loss_track=dict(type='ContrastiveTrackingLoss', temperature=0.1)),
    loss_embed=None,
    # The scale on which the embeddings are trained.
    tracker=dict(
        association=dict(similarity='cosine', temperature=0.1),
        memory=dict(normalize=True)))
