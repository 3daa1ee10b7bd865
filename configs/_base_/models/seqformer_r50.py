# SeqFormer: configs/seqformer/sources.yml gives the source of every number.
_base_ = './query_r50.py'

model = dict(
    type='SeqFormer',
    segmenter=dict(decoder=dict(type='SeqFormerDecoder')),
    matcher=dict(
        type='OneToOneMatcher',
        costs=dict(
            cls=dict(type='FocalCost', weight=2.0, alpha=0.25, gamma=2.0),
            bbox=dict(type='BoxCost', weight=5.0, norm=2.0),
            giou=dict(type='GIoUCost', weight=2.0))),
    loss=dict(
        type='SeqFormerLoss',
        cls_weight=2.0,
        bbox_weight=5.0,
        giou_weight=2.0,
        mask_weight=2.0,
        dice_weight=5.0,
        alpha=0.25,
        gamma=2.0),
    top_k=10,
    ranking=dict(type='LatestClass', score_thr=0.05),
    # The whole video at once, up to this; *_windows_* take any length.
    max_bytes=4 * 2**30)
