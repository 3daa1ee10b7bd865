# The same model; videos of any length, in windows.
_base_ = './seqformer_r18_movingshapes.py'

model = dict(window=dict(type='ClipMatching', length=5, stride=1))
