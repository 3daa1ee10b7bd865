# The same model; videos of any length, in windows of five frames.
_base_ = './seqformer_r50_8xb2-12k_youtubevis2019.py'

model = dict(
    window=dict(type='ClipMatching', length=5, stride=1, match_thr=0.01))
