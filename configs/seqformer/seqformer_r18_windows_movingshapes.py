# Videos of any length, in windows of three frames; trained on clips no longer
# than one. The frames of a clip know of each other by nothing but their
# queries, which can be the same object's only where it has not moved far.
_base_ = './seqformer_r18_movingshapes.py'

model = dict(window=dict(type='ClipMatching', length=3, stride=1))
train_dataloader = dict(dataset=dict(clip_sampler=dict(frame_range=1)))
