"""CTVIS: its network, tracker, results of videos, losses.

The frame network is that of ``mask2former.py``.
"""
from __future__ import annotations

import re
from unittest import mock

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.models.losses import MemoryContrast
from mmvis_memcnp.models.matching import Queries
from mmvis_memcnp.models.segmenters.mask2former import FrameQueries
from tests.fakes.tiny_mask2former import tiny_config
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems import mask2former
from tests.parity.systems.common import CONFIGS, Results, to_numpy

CONFIG = CONFIGS / 'ctvis' / 'ctvis_{}_official.py'
FIXED = dict(
    match='bi-softmax, greedy', memory='similarity_guided',
    temporal_score='mean', mask_thr=0.0,
    mask_resize='bilinear to padded_hw, crop, bilinear to ori_hw, logits > 0')
#: Names of the losses of embeddings here and there.
LOSSES = dict(loss_embed='reid', loss_embed_aux='aux_reid')


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    test = fixture.run['test']
    for key, value in FIXED.items():
        # A fixture of the tracker alone says nothing of masks.
        if test.get(key, value) != value:
            raise ManifestError(f'test.{key} is {test[key]!r}; supported: '
                                f'{value!r}')
    parts = dict(
        inference=('outputs.npz', inference), plain=('plain.npz', plain),
        tracker=('tracker.npz', tracker), losses=('losses.npz', losses))
    out: Results = {}
    for item in fixture.run['inputs']:
        part = item['part']
        if part not in parts:
            raise ManifestError(f'inputs has the part {part!r}; supported: '
                                f'{sorted(parts)}')
        file, function = parts[part]
        out.update({(part, file, name): to_numpy(value)
                    for name, value in function(fixture, part).items()})
    return out


def plain(fixture: Fixture, part: str) -> dict[str, np.ndarray]:
    """The frame network alone."""
    mask2former.check(fixture)
    return mask2former.forward(fixture, part)


# -- the model ----------------------------------------------------------------
def model_config(fixture: Fixture, network: Config) -> Config:
    """The shipped config with the fixture's numbers.

    Args:
        fixture: the fixture.
        network: model config with segmenter, matcher and losses of frames.
    """
    test = fixture.run['test']
    backbone = fixture.run['arch'].get('backbone') or 'r50'
    cfg = Config.fromfile(str(CONFIG).format(backbone)).model
    cfg.update({key: network[key] for key in ('segmenter', 'matcher', 'loss')})
    cfg.update(score_thr=test['inference_select_thr'],
               mask_nms_iou=test['mask_nms_iou'])
    cfg.tracker.update(
        match_thr=test['match_score_thr'],
        init_score_thr=test['init_score_thr'],
        new_score_thr=test['init_score_thr'],
        frame_weight=test['frame_weight'],
        max_gap=test['dead_after_frames'] + 1)
    cfg.tracker.memory.length = test['memory_len']
    if 'top_k' in test:
        cfg.ranking.num_pairs = test['top_k']
    for ours, theirs in (('from_frame', 'noise_frame_num'),
                         ('max_missing', 'none_frame_num'),
                         ('min_detections', 'suppress_frame_num')):
        if theirs in test:
            # From the first frame behind that number on.
            cfg.track_filter[ours] = test[theirs] + (ours == 'from_frame')
    train = fixture.run['train']
    if 'cases' in train:
        cfg.loss_embed.loss.update(
            weight=train['loss_weights']['reid'],
            aux_weight=train['loss_weights']['aux_reid'])
        cfg.loss_embed.memory.length = max(
            cfg.loss_embed.memory.length, train['clip_frames'] - 1)
        if train['num_negatives'] != fixture.run['arch']['num_queries'] - 1:
            raise ManifestError(
                f'train.num_negatives is {train["num_negatives"]}; supported '
                'are all other queries of the frame')
    return cfg


def build_model(fixture: Fixture, part: str) -> nn.Module:
    """The model with the fixture's weights."""
    mask2former.check(fixture)
    init_default_scope('mmdet')
    model = MODELS.build(
        model_config(fixture, mask2former.model_config(fixture)))
    state = KEY_MAPS['ctvis'].convert({
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()})
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


# -- inference ----------------------------------------------------------------
@torch.no_grad()
def inference(fixture: Fixture, part: str) -> dict:
    """The network on all frames, then the video frame by frame."""
    named: dict = dict(mask2former.forward(fixture, part))
    model, item = build_model(fixture, part).eval(), fixture.inputs(part)
    (clip, ), (plain_clip, ) = fixture.frames(part), fixture.clips(part)
    found = model.segmenter(torch.from_numpy(clip))
    sizes = dict(img_shape=plain_clip.shape[1:3],
                 ori_shape=tuple(item['ori_hw']),
                 batch_input_shape=clip.shape[-2:])
    followed, session, order, logits = follow(model, found, sizes)
    for name, value in followed.items():
        named[f'track_{name}'] = value
    named.update(videos(session, order, logits, 'video_masks_'))
    tracks = session.finish().tracks
    masks = np.stack([
        np.stack([np.zeros(sizes['ori_shape'], bool) if rle is None else
                  coco_mask.decode(rle).astype(bool)
                  for rle in x.segmentations]) for x in tracks])
    named.update(
        result_scores=np.array([x.score for x in tracks]),
        result_labels=np.array([x.label for x in tracks]),
        result_masks_area=masks.sum((2, 3)), result_masks_packed=masks)
    return named


def follow(model: nn.Module, found: FrameQueries, sizes: dict):
    """Give the frames to a session.

    Returns:
        What happened, by the names of the arrays; the session; the identities
        of the result in the order of their (last) beginning; and for each
        frame the mask logits by identity.
    """
    session, named = model.session(), {}
    order: dict[int, None] = {}
    logits: list[dict[int, Tensor]] = []
    for t in range(len(found.mask_features)):
        detections = model.detections(found.frames(slice(t, t + 1)))
        before = session.state.tracks
        result = model.tracker.step(before, detections)[0]
        session.take(detections, dict(sizes, frame_id=t))
        there, after = result.ids >= 0, session.state.tracks
        values = dict(
            kept=detections.queries, kept_queries=detections.queries,
            scores=detections.scores, out_q=detections.queries[there],
            out_queries=detections.queries[there], ids=result.ids[there],
            out_ids=result.ids[there], match=result.scores,
            bank_ids_after=after.ids, bank_exist_after=after.hits,
            bank_embeds_after=model.tracker.memory.read(after.memory)[0])
        if len(before):
            values.update(
                bank_ids=before.ids, bank_exist=before.hits,
                bank_embeds=model.tracker.memory.read(before.memory)[0])
        named.update({f'f{t}_{k}': v for k, v in values.items()})
        logits.append(dict(zip(result.ids[there].tolist(),
                               detections.mask_logits[there], strict=True)))
        kept = session.ranking.means()[0]
        order = {**{i: None for i in order if i in kept},
                 **{i: None for i in logits[-1] if i in kept}}
        # Who has left the result has no mask in the frames before.
        for frame in logits:
            for gone in frame.keys() - order.keys():
                del frame[gone]
    return named, session, list(order), logits


def videos(session, order: list[int], logits: list[dict[int, Tensor]],
           prefix: str) -> dict:
    """Mean class logits and masks of the identities of the result."""
    ids, means = session.ranking.means()
    some = next(mask for frame in logits for mask in frame.values())
    masks = torch.stack([torch.stack([
        frame.get(i, torch.zeros_like(some)) for frame in logits])
        for i in order])
    return dict(
        video_logits=means[[ids.index(i) for i in order]],
        **{prefix + k: masks for k in ('stats', 'shape')},
        video_present=(masks != 0).flatten(2).any(2),
        video_masks_area=(masks > 0).flatten(2).sum(2))


@torch.no_grad()
def tracker(fixture: Fixture, part: str) -> dict:
    """The tracker on stored outputs of a network."""
    init_default_scope('mmdet')
    model = MODELS.build(
        model_config(fixture, tiny_config(embed_dims=8))).eval()
    given = {k: torch.from_numpy(np.asarray(v))
             for k, v in fixture.arrays(part).items()}
    logits, embeds, masks = (
        given[f'pred_{name}'] for name in ('logits', 'embeds', 'masks'))
    own = torch.eye(masks.shape[1]).expand(1, len(masks), -1, -1)
    size = tuple(masks.shape[-2:])
    sizes = dict(img_shape=[4 * s for s in size], ori_shape=size,
                 batch_input_shape=[4 * s for s in size])
    named, session, order, kept = follow(
        model, FrameQueries(embeds[None], embeds[None], logits[None], own,
                            embeds[None], masks), sizes)
    return {**named, **videos(session, order, kept, 'video_masks_')}


# -- losses -------------------------------------------------------------------
def losses(fixture: Fixture, part: str) -> dict:
    """One training step on stored targets, and each case of the contrast."""
    model, train = build_model(fixture, part).train(), fixture.run['train']
    found = model.segmenter(mask2former.frame_batch(fixture, part))
    truth = mask2former.ground_truth(fixture, part)
    with mock.patch('torch.rand', mask2former.pinned_points(fixture)):
        matches = mask2former.official_matches(
            fixture, model.matcher,
            Queries(found.logits, mask_embeds=found.mask_embeds,
                    mask_features=found.mask_features), truth)
        values = model.frame_loss(found.logits, found.mask_embeds,
                                  found.mask_features, matches, truth)
    named = mask2former.named_losses(values, matches, truth)
    embeds = found.embeds[-1].unflatten(0, (-1, train['clip_frames']))
    rows = given_rows(fixture, truth.valid.unflatten(0, embeds.shape[:2]),
                      matches.best[-1])
    # Clips with fewer objects are padded.
    objects = torch.stack([
        torch.arange(rows.shape[2]) < ids.shape[1]
        for _, ids in sorted(fixture.targets()['ids'].items())])
    totals = {}
    for case, options in train['cases'].items():
        contrast = case_losses(model.loss_embed, embeds, rows, objects,
                               options)
        for ours, theirs in LOSSES.items():
            named[f'loss_{case}_loss_{theirs}'] = contrast.pop(ours)
        named.update({f'{case}_{k}': v for k, v in contrast.items()})
        totals[case] = sum(values.values()) + sum(
            named[f'loss_{case}_loss_{x}'] for x in LOSSES.values())
    named['total_loss'] = totals['ma']
    totals['ma'].backward()
    named.update(mask2former.gradient_norms(
        model, fixture.weights(part), KEY_MAPS['ctvis']))
    named['gradnorm:ALL'] = torch.stack([
        p.grad.norm() for p in model.parameters()
        if p.grad is not None]).norm()
    return named


def given_rows(fixture: Fixture, present: Tensor, own: Tensor) -> Tensor:
    """The query of each object, (B, T, G), -1 where it is absent.

    The released code matches once more for the contrast, with masks that are
    not padded as the predictions are; its stored matches are taken.

    Args:
        fixture: the fixture.
        present: (B, T, G), whether an object is there.
        own: (B * T, G), our matches, for frames without stored ones.
    """
    rows = own.view(present.shape).clone()
    stored = fixture.npz('losses.npz')
    for t in range(present.shape[1]):
        if f'match_plugin_f{t}' in stored:
            clip, query, gt = torch.from_numpy(
                stored[f'match_plugin_f{t}'].astype(np.int64)).unbind(1)
            rows[clip, t, gt] = query
    return rows.where(present, -1)


def case_losses(contrast: MemoryContrast, embeds: Tensor, rows: Tensor,
                objects: Tensor, options: dict) -> dict:
    """Losses and items of a case, whose random choices are pinned.

    Args:
        contrast: of the model.
        embeds: (B, T, Q, C).
        rows: (B, T, G), the query of each object.
        objects: (B, G) bool, which are no padding.
        options: of the case.
    """
    # A coin above 0.5 takes the average.
    contrast.latest_prob = float(options['coin'] <= 0.5)
    written = rows
    if options['noise']:
        number = re.match(r'negative_embed\[(\d+)\] of the frame, every '
                          'absence', options['noise_source'])
        if number is None:
            raise ManifestError(
                f'noise_source {options["noise_source"]!r} is not supported')
        # As released, what was written by mistake is an anchor, too.
        written = rows.where((rows >= 0) | ~objects[:, None], int(number[1]))
    items = contrast.build(embeds, rows, written, written)
    out = contrast.contrast(*items)
    # Clip by clip, then frame by frame, as the released code goes.
    clips = len(rows)
    anchors, others, positives, negatives, valid = (
        x.unflatten(0, (-1, clips)).transpose(0, 1).flatten(0, 1)
        for x in items)
    dots = anchors @ others.transpose(1, 2)
    cosines = torch.cosine_similarity(
        anchors[:, :, None], others[:, None], dim=-1)
    # One positive an item.
    return dict(
        out, num_items=valid.sum(),
        items_pos_dot=(dots * positives).sum(-1)[valid],
        items_pos_cos=(cosines * positives).sum(-1)[valid],
        items_neg_lse=dots.masked_fill(
            ~negatives, -torch.inf).logsumexp(-1)[valid],
        items_num_neg=negatives.sum(-1)[valid])
