# Table 4: per-clip inference in windows of five frames.
_base_ = '../ifr_swin-l_8xb2-8k_youtubevis2021.py'

model = dict(
    window=dict(type='ClipMatching', length=5, stride=1, match_thr=0.05),
    top_k=50,
    score_thr=0.05)
