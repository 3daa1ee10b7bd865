# With 200 queries.
_base_ = './ifr_swin-l_8xb2-6k_youtubevis2019.py'

model = dict(segmenter=dict(decoder=dict(num_queries=200)))
