# What a checkpoint of the released InstanceFormer needs to give its own
# output; configs/instanceformer/sources.yml says why each option differs. Use:
# model = _base_.instanceformer_official.
instanceformer_official = dict(
    data_preprocessor=dict(pad_size_divisor=1),
    segmenter=dict(decoder=dict(cross_position=False), class_offset=1),
    reference_prior=dict(
        source='position', combine='multiply', handed_on='start'),
    class_prior=dict(active=False),
    memory=dict(num_frames=3, temporal_index='slot'),
    matcher=dict(rule='first_frame', costs=dict(bbox=dict(norm=2.0))),
    mask_way='stretch',
    ranking=dict(type='TopQuarterQuery'))
