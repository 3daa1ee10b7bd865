# A small InstanceFormer for a CPU.
_base_ = ['./instanceformer_r50.py', './query_r18_small.py']

model = dict(
    _base_.query_r18_small,
    memory=dict(num_tokens=6),
    # With three layers and few channels the contrast has several times the
    # gradient of all other losses together.
    contrast=dict(loss_weight=0.1),
    num_proposals=30)
