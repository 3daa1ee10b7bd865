# A small IDOL for a CPU.
_base_ = ['./idol_r50.py', './query_r18_small.py']

model = dict(
    segmenter=dict(_base_.query_r18_small['segmenter'], embed_dims=96),
    # With a third of the queries, fewer can be near an object.
    matcher=dict(topk=5),
    positive_topk=5,
    ignore_topk=20)
