# What a checkpoint of the released code needs: nothing beyond the defaults,
# which are the released ones.
_base_ = './seqformer_r50_8xb2-12k_youtubevis2021.py'
