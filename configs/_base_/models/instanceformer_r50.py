# InstanceFormer with a ResNet-50, as the paper describes it:
# configs/instanceformer/sources.yml gives the source of every number.
_base_ = './query_r50.py'

model = dict(
    type='InstanceFormer',
    segmenter=dict(decoder=dict(type='InstanceFormerDecoder')),
    reference_prior=dict(
        source='content', combine='logit', handed_on='centre'),
    class_prior=dict(type='ClassPrior', num_frames=4),
    memory=dict(
        type='TokenMemory', num_tokens=10, num_frames=4,
        temporal_index='age'),
    matcher=dict(
        type='StickyMatcher',
        rule='appearance',
        costs=dict(
            cls=dict(type='FocalCost', weight=1.0, alpha=0.25, gamma=2.0),
            bbox=dict(type='BoxCost', weight=5.0, norm=1.0),
            giou=dict(type='GIoUCost', weight=2.0))),
    frame_loss=dict(
        type='QueryLoss',
        cls_weight=2.0,
        bbox_weight=5.0,
        giou_weight=2.0,
        mask_weight=2.0,
        dice_weight=5.0,
        alpha=0.25,
        gamma=2.0),
    contrast=dict(
        type='TemporalContrastiveLoss', temperature=0.07, loss_weight=2.0),
    num_proposals=50,
    proposal_frames=3,
    mask_way='resample',
    ranking=dict(type='MeanQuery', score_thr=0.001))
