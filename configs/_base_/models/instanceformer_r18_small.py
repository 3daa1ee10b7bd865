# A small InstanceFormer for a CPU.
_base_ = ['./instanceformer_r50.py', './query_r18_small.py']

model = dict(
    _base_.query_r18_small,
    memory=dict(num_tokens=6),
    num_proposals=30)
