"""IDOL: network, tracker alone, video results, losses."""
from __future__ import annotations

from math import lcm
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from torch import nn

from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.models.layers import mask_iou
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    CONFIGS,
    Recorder,
    Results,
    gradient_norms,
    padded_truth,
    to_numpy,
)

CONFIG = CONFIGS / 'idol' / 'idol_{}_official.py'
FIXED = dict(
    arch=dict(mask_feat_channels=8, dyn_params=169, levels=4,
              backbone_style='pytorch'),
    test=dict(whole_video=True, temporal_score='mean', multi_class=True,
              mask_thr=0.5, temporal_weight=True, top_k=None,
              mask_resize='bilinear x4, sigmoid, crop, nearest to ori_hw'),
    train=dict(normaliser='matched pairs of the layer in the local batch',
               mask_target_stride='[2::4, 2::4] of the padded mask',
               cases=None, stage=None))
#: Official loss names of the fixture to ours.
LOSSES = dict(ce='loss_cls', bbox='loss_bbox', giou='loss_giou',
              mask='loss_mask', dice='loss_dice', reid='loss_embed',
              reid_aux='loss_embed_aux')


def compute(fixture: Fixture) -> Results:
    """Every array of an IDOL fixture."""
    for block, settings in FIXED.items():
        for key, value in settings.items():
            if fixture.run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    out = inference(fixture)
    out.update(postprocessing(fixture))
    out.update(losses(fixture))
    return out


def build_model(fixture: Fixture, part: str) -> nn.Module:
    """The model of the ``_official`` config with the fixture's settings and
    weights."""
    init_default_scope('mmdet')
    run = fixture.run
    arch, test, train = run['arch'], run['test'], run['train']
    cfg = Config.fromfile(
        CONFIG.with_name(CONFIG.name.format(arch['backbone']))).model
    cfg.segmenter.backbone.frozen_stages = arch['backbone_frozen_stages']
    for name, layers in (('encoder', 'enc_layers'), ('decoder', 'dec_layers')):
        cfg.segmenter[name].update(
            num_layers=arch[layers], embed_dims=arch['d'],
            num_heads=arch['heads'], num_points=arch['points'],
            feedforward_channels=arch['ffn'])
        if part == 'losses':
            cfg.segmenter[name].dropout = train['dropout']
    cfg.segmenter.update(
        num_classes=arch['num_classes'], num_queries=arch['num_queries'],
        embed_dims=arch['d'])
    cfg.update(
        score_thr=test['score_thr'], box_nms_iou=test['box_nms_iou'],
        mask_nms_iou=test['mask_nms_iou'],
        positive_topk=train['reid']['pos_topk'],
        ignore_topk=train['reid']['neg_topk'])
    cfg.ranking.score_thr = test['cls_thr']
    cfg.track_filter.update(from_frame=test['noise_from_frame'],
                            min_detections=test['noise_min_hits'])
    cfg.tracker.update(
        match_thr=test['match_thr'], init_score_thr=test['init_score_thr'],
        new_score_thr=test['new_score_thr'],
        frame_weight=test['frame_weight'], max_gap=test['memory_max_gap'])
    cfg.tracker.memory.length = test['memory_len']
    matcher, weights = train['matcher'], train['loss_weights']
    assert matcher['type'] == 'simOTA'
    cfg.matcher.costs.cls.update(weight=matcher['cls'], **train['focal'])
    cfg.matcher.costs.giou.update(weight=matcher['giou'])
    cfg.matcher.update(
        centre_radius=matcher['center_radius'],
        outside_centre=matcher['outside_center'],
        outside_any=matcher['outside_any'], topk=matcher['top_iou'])
    cfg.loss_instance.update(
        {f'{name}_weight': weights[official]
         for name, official in (('cls', 'ce'), ('bbox', 'bbox'),
                                ('giou', 'giou'), ('mask', 'mask'),
                                ('dice', 'dice'))}, **train['focal'])
    cfg.loss_embed.update(
        weight=weights['reid'], aux_weight=weights['reid_aux'],
        negative_ratio=train['reid']['aux_neg_ratio'])
    model = MODELS.build(cfg)
    state = KEY_MAPS['idol'].convert({
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()
    })
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


@torch.no_grad()
def inference(fixture: Fixture) -> Results:
    """All frames in one batch, then the tracker frame by frame."""
    model = build_model(fixture, 'inference').eval()
    item = fixture.inputs('inference')
    (clip, ) = fixture.frames('inference')
    frames = torch.from_numpy(clip)
    size = fixture.clips('inference')[0].shape[1:3]
    metas = [meta(size, item['ori_hw'], frames.shape[-2:], t)
             for t in range(len(frames))]
    named = network(model, frames, metas)

    candidates: list = []
    own = model.candidates

    def kept(*args):
        candidates.append(own(*args))
        return candidates[-1]

    model.candidates = kept
    found = model.encode(frames, metas)
    named.update(track(model, found, candidates, metas, 'track_f{}_',
                       'result_', fixture.run['test']['backdrop_iou']))
    return {('inference', 'outputs.npz', k): to_numpy(v)
            for k, v in named.items()}


def meta(img_shape, ori_shape, padded, frame: int) -> dict:
    """Sizes of a frame."""
    return dict(img_shape=tuple(img_shape), ori_shape=tuple(ori_shape),
                batch_input_shape=tuple(padded), frame_id=frame)


def network(model: nn.Module, frames, metas: list[dict]) -> dict[str, Any]:
    """The seams of the network, of all queries."""
    recorder = Recorder()
    stages = ('layer1', 'layer2', 'layer3', 'layer4')
    for i, name in enumerate(stages):
        recorder.watch(f'backbone_res{i + 2}',
                       getattr(model.segmenter.backbone, name))
    recorder.watch('neck', model.segmenter.neck)
    recorder.watch('position', model.segmenter.encoder.position)
    encoded, decoded = model.decode(frames, [m['img_shape'] for m in metas])
    named: dict[str, Any] = {}
    for i in range(len(stages)):
        (stage, ) = recorder.take(f'backbone_res{i + 2}')
        for suffix in ('stats', 'f0', 'shape'):
            named[f'backbone_res{i + 2}_{suffix}'] = stage
    (levels, ) = recorder.take('neck')
    masks = encoded.padding.split([h * w for h, w in encoded.shapes], 1)
    for i, (level, position, mask) in enumerate(
            zip(levels, recorder.take('position'), masks, strict=True)):
        named[f'neck_l{i}_stats'] = named[f'neck_l{i}_f0'] = level
        named[f'pos_l{i}_f0'] = position
        named[f'padmask_l{i}_f0'] = mask.unflatten(1, encoded.shapes[i])
    features = model.segmenter.mask_branch(encoded.maps())
    last = decoded.hidden[-1]
    shape = (1, *last.shape[:2])
    at = torch.ones(shape).nonzero(as_tuple=True)
    where = torch.full_like(at[0], len(decoded.hidden) - 1), at[1], at[2]
    size = torch.tensor([m['img_shape'][::-1] for m in metas]).float()
    logits = model.mask_logits(features, decoded, size, where)
    logits = logits.unflatten(0, shape[1:])
    named.update(
        memory_stats=encoded.memory, memory_f0=encoded.memory,
        init_reference=decoded.references[0],
        inter_references_f0=decoded.boxes, hs_f0=decoded.hidden,
        hs_last_f0=decoded.hidden, hs_stats=decoded.hidden,
        pred_logits=model.segmenter.cls_branches[-1](last),
        pred_boxes=decoded.boxes[-1],
        pred_inst_embed=model.segmenter.embed_head(last), mask_feats=features,
        dyn_params_f0=model.segmenter.mask_controller(last),
        pred_masks_sub=logits, pred_masks_stats=logits,
        pred_masks_mean_per_query=logits)
    return named


def track(model: nn.Module, found: list[InstanceData], candidates: list,
          metas: list[dict], prefix: str, result: str,
          backdrop_iou: float) -> dict[str, Any]:
    """Feed detections to a session.

    Args:
        model: the system.
        found: detections of each frame.
        candidates: queries before mask NMS of each frame.
        metas: sizes of each frame.
        prefix: of the names of a frame's arrays.
        result: of the names of the video's arrays.
        backdrop_iou: see :func:`official_ids`.
    """
    session = model.session()
    named: dict[str, Any] = {}
    latest: dict[int, int] = {}  # label of each identity; nothing needs it
    for t, (detections, sizes) in enumerate(zip(found, metas, strict=True)):
        before = session.state.tracks
        ids = model.tracker.step(before, detections)[0].ids.to(
            detections.scores.device)
        values = dict(
            cand=candidates[t], kept=detections.queries,
            ids=official_ids(ids, detections.mask_logits > 0, backdrop_iou),
            labels=detections.labels,
            bboxes=torch.cat(
                (detections.boxes, detections.scores[:, None]), 1),
            memo_ids=before.ids,
            memo_embeds=model.tracker.memory.read(before.memory)[0],
            memo_exist=before.hits,
            memo_labels=torch.tensor([latest[i] for i in before.ids.tolist()]))
        latest.update(zip(ids.tolist(), detections.labels.tolist(),
                          strict=True))
        named.update(
            {prefix.format(t) + k: v for k, v in values.items()})
        session.take(detections, sizes)
    tracks = session.finish().tracks
    size = metas[0]['ori_shape']
    masks = np.stack([
        np.stack([np.zeros(size, bool) if rle is None else
                  coco_mask.decode(rle).astype(bool)
                  for rle in x.segmentations]) for x in tracks
    ])
    named.update({
        result + 'scores': np.array([x.score for x in tracks]),
        result + 'labels': np.array([x.label for x in tracks]),
        result + 'frame_valid': np.array(
            [[s is not None for s in x.segmentations] for x in tracks]),
        result + 'mask_area': masks.sum((2, 3)),
        result + 'masks_packed': masks
    })
    return named


def official_ids(ids: torch.Tensor, masks: torch.Tensor,
                 backdrop_iou: float) -> torch.Tensor:
    """The released code tells two kinds of detections without identity.

    Args:
        ids: (n,), -1 = none.
        masks: (n, h, w) bool, best first.
        backdrop_iou: a mask whose IoU with all better ones is below this is
            a backdrop, -1; the others are -2. The result has neither.
    """
    apart = (mask_iou(masks).tril(-1) < backdrop_iou).all(1)
    return ids.masked_fill((ids < 0) & ~apart, -2)


@torch.no_grad()
def postprocessing(fixture: Fixture) -> Results:
    """Stored network outputs through post-processing and tracker."""
    part, file = 'postproc_synthetic', 'postproc_synthetic.npz'
    model = build_model(fixture, part).eval()
    item, given = fixture.inputs(part), {
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.arrays(part).items()
    }
    scores = given['pred_logits'].sigmoid()
    height, width = item['image_hw']
    size = torch.tensor([float(width), float(height)])
    found, candidates, metas = [], [], []
    for t in range(len(scores)):
        query = model.candidates(scores[t], given['pred_boxes'][t], size)
        candidates.append(query)
        metas.append(meta(item['image_hw'], item['ori_hw'],
                          item['padded_hw'], t))
        found.append(model.detections(
            InstanceData(
                queries=query, class_scores=scores[t, query],
                boxes=given['pred_boxes'][t, query],
                embeds=given['pred_inst_embed'][t, query],
                mask_logits=given['pred_masks'][t, query, 0]),
            metas[-1]))
    named = track(model, found, candidates, metas, 'syn_track_f{}_',
                  'syn_result_', fixture.run['test']['backdrop_iou'])
    return {(part, file, k): to_numpy(v) for k, v in named.items()}


class StoredDraws:
    """Draws the fixture's negatives instead of random ones.

    Args:
        fixture: the fixture.
        items: frame and object of each stored draw.
    """

    def __init__(self, fixture: Fixture, items: list[tuple[int, int]]) -> None:
        arrays = fixture.npz('losses.npz')
        self.draws = {
            where: torch.from_numpy(arrays[f'reid_item{i}_aux_sampled_neg'])
            for i, where in enumerate(items)
        }

    def __call__(self, negatives, positives):
        """See ``ContrastiveEmbeddingLoss.draw``."""
        drawn = torch.zeros_like(negatives)
        for (b, g), rows in self.draws.items():
            drawn[b, g, negatives[b, g].nonzero()[:, 0][rows]] = True
        return drawn


def loss_batch(fixture: Fixture):
    """Frames (key, then reference), sizes and ground truth of both."""
    target = fixture.targets()
    clips = [torch.from_numpy(c) for c in fixture.frames('losses')]
    sizes = [c.shape[1:3] for c in fixture.clips('losses')]
    batch = len(clips)
    truths = []
    for frame in ('key', 'ref'):
        objects = []
        for b in range(batch):
            here = target['ids'][b, frame] >= 0
            masks = target['masks'][b, frame][here]
            canvas = np.zeros((len(masks), *clips[b].shape[2:]), bool)
            canvas[:, :masks.shape[1], :masks.shape[2]] = masks
            objects.append((
                target['boxes'][b, frame][here],
                target['labels'][b, frame][here],
                target['ids'][b, frame][here] * batch + b,
                canvas[:, 2::4, 2::4]))
        truths.append(padded_truth(objects, sizes))
    frames = torch.stack([c[0] for c in clips] + [c[1] for c in clips])
    return frames, sizes * 2, *truths


def losses(fixture: Fixture) -> Results:
    """One training step on stored targets."""
    part, file = 'losses', 'losses.npz'
    model = build_model(fixture, part).train()
    frames, sizes, key_gt, ref_gt = loss_batch(fixture)
    batch = len(key_gt.boxes)
    pos = fixture.npz(file)
    items = [(b, g) for b in range(batch)
             for g in range(int(key_gt.valid[b].sum()))
             if f'reid_pos_b{b}_gt{g}' in pos]
    model.loss_embed.draw = StoredDraws(fixture, items)
    spies = {name: spy(owner, name) for owner, name in (
        (model.matcher, 'match'), (model, 'mask_logits'))}
    heard: list = []
    model.loss_embed.register_forward_hook(
        lambda _m, args, _out: heard.append(args))
    model.loss_instance.register_forward_hook(
        lambda _m, args, _out: heard.append(args))
    encoded, decoded = model.decode(frames, sizes)
    size = torch.tensor([s[::-1] for s in sizes]).float()
    values = model.query_losses(encoded, decoded, size, key_gt, ref_gt)
    total = sum(values.values())
    named: dict[str, Any] = dict(loss_total=total)
    for official, ours in LOSSES.items():
        named[f'loss/loss_{official}'] = values[ours]
        for layer in range(len(decoded.hidden) - 1):
            if f'd{layer}.{ours}' in values:
                named[f'loss/loss_{official}_{layer}'] = values[
                    f'd{layer}.{ours}']

    # The first is of the key frames, the others of the contrast.
    (assigned, *_), (mask_logits, ) = spies.values()
    index = assigned.gt_index
    for layer, frame in np.ndindex(*index.shape[:2]):
        chosen = index[layer, frame]
        rows = (chosen >= 0).nonzero()[:, 0]
        stem = f'match_l{layer}_b{frame}_'
        named[stem + 'query'], named[stem + 'gt'] = rows, chosen[rows]
    for b in range(batch):
        named[f'matched_query_per_gt_b{b}'] = assigned.best[-1, b][
            key_gt.valid[b]]

    (logits, boxes, _, matches, _), embed = heard
    named.update(embedding_items(items, embed, model.loss_embed.draw.draws))
    last = matches.layer == len(logits) - 1
    rows = [mask_logits[last & (matches.frame == b)] for b in range(batch)]
    # The statistics of one array: repeated to the same number of masks.
    most = lcm(*map(len, rows))
    named.update(
        train_pred_logits=logits[-1], train_pred_boxes=boxes[-1],
        train_pred_masks_stats=torch.stack(
            [r.repeat(most // len(r), 1, 1) for r in rows]))
    names = {
        KEY_MAPS['idol'].rename(n): n for n in fixture.weights(part)
        if not KEY_MAPS['idol'].why_ignored(n)
    }
    for name, norm in gradient_norms(model, total, names).items():
        named[f'gradnorm/{name}'] = norm
    return {(part, file, k): to_numpy(v) for k, v in named.items()}


def embedding_items(items, embed, draws) -> dict[str, Any]:
    """What the contrastive loss compares, object by object."""
    key, ref, positives, negatives, _ = embed
    named = {}
    for i, (b, g) in enumerate(items):
        near = positives[b, g].nonzero()[:, 0]
        far = negatives[b, g].nonzero()[:, 0]
        named[f'reid_pos_b{b}_gt{g}'] = near
        named[f'reid_notneg_b{b}_gt{g}'] = (~negatives[b, g]).nonzero()[:, 0]
        rows = torch.cat((near, far))
        dots = ref[b, rows] @ key[b, g]
        drawn = torch.cat((near, far[draws[b, g]]))
        cosines = torch.cosine_similarity(ref[b, drawn], key[b, g], dim=1)
        named.update({
            f'reid_item{i}_contrast': dots[:, None],
            f'reid_item{i}_label': positives[b, g, rows].float(),
            f'reid_item{i}_aux_cos': cosines[:, None],
            f'reid_item{i}_aux_label': positives[b, g, drawn].float()
        })
    return named


def spy(owner, name: str) -> list:
    """Keep what a method returns."""
    returned: list = []
    method = getattr(owner, name)

    def wrapped(*args, **kwargs):
        returned.append(method(*args, **kwargs))
        return returned[-1]

    setattr(owner, name, wrapped)
    return returned
