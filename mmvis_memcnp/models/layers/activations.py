"""Activations of mmcv's and mmdet's layers, as configs."""

#: Of a feed-forward network. By default it writes over the output of a linear
#: layer, which autograd knows as a view: the backward pass then copies the
#: hidden layer several times. What is kept for it is the same.
RELU = dict(type='ReLU', inplace=False)
