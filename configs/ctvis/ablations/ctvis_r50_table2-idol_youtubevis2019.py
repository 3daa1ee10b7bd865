# Table 2: IDOL's contrast of a key and a reference frame, and its tracker.
_base_ = '../ctvis_r50_8xb2-16k-coco-joint_youtubevis2019.py'

model = dict(
    loss_embed=dict(
        _delete_=True,
        type='ReferenceContrast',
        reference='all',
        loss=dict(
            type='ContrastiveEmbeddingLoss',
            weight=2.0,
            aux_weight=3.0,
            negative_ratio=10)),
    tracker=dict(
        memory=dict(_delete_=True, type='WindowMemory', length=3),
        match_thr=0.5,
        init_score_thr=0.2,
        new_score_thr=0.2,
        frame_weight=True,
        max_gap=10))
_videos, _images = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                _videos, clip_sampler=dict(_videos.clip_sampler,
                                           num_frames=2)),
            dict(_images, num_frames=2)
        ]))
