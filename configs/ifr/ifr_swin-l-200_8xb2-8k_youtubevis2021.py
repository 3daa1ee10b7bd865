# With 200 queries.
_base_ = './ifr_swin-l_8xb2-8k_youtubevis2021.py'

model = dict(segmenter=dict(decoder=dict(num_queries=200)))
