# The refiner of DVIS-DAQ and O2VIS offline. The masks of an object in all
# frames are one mask to the loss.
temporal_refiner = dict(
    refiner=dict(
        type='TemporalRefiner',
        num_classes=40,
        num_layers=6,
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        mask_dims=256,
        local_conv=False),
    loss=dict(whole_clips=True))
