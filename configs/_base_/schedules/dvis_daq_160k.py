# 160000 steps of 8 clips; the embeddings of the tracker do not decay.
_base_ = './mask2former_160k.py'

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'tracker.new_instance': dict(decay_mult=0.0),
            'tracker.background': dict(decay_mult=0.0),
        }))
