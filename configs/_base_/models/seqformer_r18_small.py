# A small SeqFormer for a CPU.
_base_ = ['./seqformer_r50.py', './query_r18_small.py']

model = _base_.query_r18_small
