# MemCNP on a host with queries, as its key `memcnp`: configs/idol/README.md
# and configs/seqformer/README.md give the source of every number.
memcnp_queries = dict(
    type='MemCNP',
    num_items=128,
    rate=0.999,
    training=dict(
        assigner=dict(type='QueryUSSAssigner', topk=5, lambda_tau=0.5),
        loss=dict(
            type='MemCNPLoss', rule='gmm', sigma_weight=1.0, alpha='image'),
        contrast=dict(type='ContrastiveTrackingLoss', temperature=0.1)))
