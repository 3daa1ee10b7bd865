"""InstanceFormer, with and without its memory."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

import tests.parity.official_parts_instanceformer  # noqa: F401
from mmvis_memcnp.converters import KEY_MAPS, check_against
from mmvis_memcnp.models.truth.clip_truth import ClipTruth
from mmvis_memcnp.models.vis import InstanceFormer
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    CONFIGS,
    Recorder,
    Results,
    gradient_norms,
    to_numpy,
)

FIXED: dict[str, dict[str, Any]] = dict(
    arch=dict(backbone='r50', backbone_style='pytorch', mask_feat_channels=8,
              dyn_params=169, class_prior='no-op, parameters kept',
              label_to_channel='channel = 1-based category id'),
    test=dict(mask_thr=0.5, drop_empty_tracks=True,
              top_k=None, mask_resize='bilinear logits straight to ori_hw',
              score='mean of those of that class',
              label='mode of the classes of the best T // 4 (frame, class) '
              'scores'),
    train=dict(dropout=0.0, cases=None, stage=None,
               mask_target_stride='[2::4, 2::4] of the padded mask',
               random=dict(memory_token_permutation='identity')))
LOSSES = dict(ce='cls', bbox='bbox', giou='giou', mask='mask', dice='dice')


def compute(fixture: Fixture) -> Results:
    """Every array of an InstanceFormer fixture."""
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if fixture.run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    length = fixture.inputs('inference')['frames'][0][0]
    taken, rule = fixture.run['test']['score_frames'], max(length // 4, 1)
    if taken != rule:
        raise ManifestError(f'test.score_frames is {taken} with {length} '
                            f'frames; supported: T // 4, {rule}')
    return {**inference(fixture), **training(fixture)}


def build(fixture: Fixture, part: str) -> InstanceFormer:
    """The model of an official config with the fixture's weights."""
    init_default_scope('mmdet')
    arch, test = fixture.run['arch'], fixture.run['test']
    train = fixture.run['train']
    memory = '' if arch['memory_tokens'] else '_no-memory'
    cfg = Config.fromfile(CONFIGS / 'instanceformer' /
                          f'instanceformer_r50{memory}_official.py').model
    cfg.segmenter.backbone.frozen_stages = arch['backbone_frozen_stages']
    sizes = dict(embed_dims=arch['d'], num_levels=arch['levels'],
                 num_heads=arch['heads'], num_points=arch['points'],
                 feedforward_channels=arch['ffn'], dropout=train['dropout'])
    cfg.segmenter.encoder.update(sizes, num_layers=arch['enc_layers'])
    cfg.segmenter.decoder.update(sizes, num_layers=arch['dec_layers'])
    # Seeded weights let channels win that stand for no class: here every
    # channel is one.
    cfg.segmenter.update(num_classes=arch['head_channels'], class_offset=0,
                         num_queries=arch['num_queries'])
    cfg.reference_prior.combine = {
        'multiplicative': 'multiply', 'additive': 'add'
    }[arch['reference_propagation']]
    cfg.class_prior.num_frames = arch['memory_support']
    matcher, weights = train['matcher'], train['loss_weights']
    if matcher['frame'] != 0:
        raise ManifestError('only a matching in frame 0 is supported')
    costs = cfg.matcher.costs
    costs.cls.update(weight=matcher['cls'], **train['focal'])
    costs.bbox.update(weight=matcher['bbox'],
                      norm={'Euclidean': 2, 'L1': 1}[matcher['bbox_norm']])
    costs.giou.update(weight=matcher['giou'])
    cfg.frame_loss.update(
        cls_weight=weights['ce'], bbox_weight=weights['bbox'],
        giou_weight=weights['giou'], mask_weight=weights['mask'],
        dice_weight=weights['dice'], **train['focal'])
    cfg.update(
        num_proposals=test['num_proposals'],
        proposal_frames=test['proposal_frames'])
    cfg.ranking.score_thr = test['null_track_below_score']
    if memory == '':
        cfg.memory.update(num_tokens=arch['memory_tokens'],
                          num_frames=test['memory_frames_kept'])
        cfg.contrast.update(
            type='OfficialTemporalContrast', loss_weight=weights['supcon'],
            temperature=train['supcon']['temperature'])
    cfg.type = 'OfficialInstanceFormer'
    model = MODELS.build(cfg)
    official = {
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()
    }
    state = KEY_MAPS['instanceformer'].convert(official)
    check_against(model, state)
    model.load_state_dict(state)
    return model


# -- inference ---------------------------------------------------------------
def inference(fixture: Fixture) -> Results:
    """A video through a session, with everything on the way."""
    part, file = 'inference', 'outputs.npz'
    item = fixture.inputs(part)
    model = build(fixture, part).eval()
    recorder = Recorder()
    for i in range(4):
        recorder.watch(f'backbone_c{i + 2}',
                       getattr(model.segmenter.backbone, f'layer{i + 1}'))
    recorder.watch('neck', model.segmenter.neck)
    recorder.watch('position', model.segmenter.encoder.position)
    recorder.watch('encoder', model.segmenter.encoder)
    recorder.watch('mask_feat', model.segmenter.mask_branch)
    layers = model.segmenter.decoder.layers
    if model.memory is not None:
        for number in (0, len(layers) - 1):
            recorder.watch(f'memory_attn_out_layer{number}',
                           layers[number].memory_norm)
    entered: list[Tensor] = []
    model.segmenter.decoder.register_forward_pre_hook(
        lambda _m, args: entered.append(args[0]))
    decoded: list[Any] = []
    decode = model.decode
    model.decode = lambda *a: decoded.append(decode(*a)) or decoded[-1]

    images = fixture.arrays(part)['resized_uint8'].astype(np.float32) / 255
    images = (images - np.float32(item['mean'])) / np.float32(item['std'])
    clip = torch.from_numpy(images).permute(0, 3, 1, 2)
    size = tuple(clip.shape[-2:])
    if list(size) != item['padded_hw']:
        raise ManifestError('padding at inference is not supported')
    session = model.session()
    named: dict[str, list] = {}
    out: Results = {}

    def keep(name: str, value: Tensor) -> None:
        named.setdefault(name, []).append(to_numpy(value))

    for t, image in enumerate(clip):
        if t > 0 and model.memory is not None:
            tokens, place = model.memory.read(
                session.state.propagated.memory,
                model.segmenter.query_embed.weight.chunk(2, 1)[0])
            out[part, file, f'memory_tokens_f{t}'] = to_numpy(tokens[0])
            out[part, file, f'memory_pos_f{t}'] = to_numpy(place[0])
        session.step(image[None], [dict(
            img_shape=size, ori_shape=tuple(item['ori_hw']), frame_id=t)])
        frame = decoded[-1]
        for level, fmap in enumerate(recorder.take('neck')[0]):
            keep(f'proj_l{level}_sub', fmap[0])
            keep(f'proj_l{level}_stats', fmap[0])
        for level, place in enumerate(recorder.take('position')):
            keep(f'pos_l{level}', place[0])
        encoded = recorder.take('encoder')[0].memory[0]
        features = recorder.take('mask_feat')[0]
        keep('mask_feat', features[0])
        for name in ('encoder_memory_sub', 'encoder_memory_stats'):
            keep(name, encoded)
        for name in list(recorder.calls):
            value = recorder.take(name)[0][0]
            if name.startswith('backbone'):
                keep(f'{name}_sub', value)
                keep(f'{name}_stats', value)
            else:
                keep(name, value)
        keep('decoder_tgt_in', entered[-1][0])
        for name in ('last', 'layers', 'stats'):
            keep(f'decoder_hs_{name}', frame.decoded.queries[:, 0])
        keep('init_reference', frame.decoded.references[0][0])
        keep('inter_references', frame.decoded.boxes[:, 0])
        logits = frame.logits[-1, 0]
        keep('pred_logits', logits)
        keep('pred_boxes', frame.decoded.boxes[-1, 0])
        masks = all_masks(model, features, frame, size)
        keep('pred_masks_sub', masks)
        keep('pred_masks_mean_std', masks)
        if model.memory is not None:
            count = model.memory.num_tokens
            keep('memory_top_queries',
                 session.state.propagated.memory.sources[0, -1])
            keep('memory_top_scores', logits.sigmoid().max(-1).values.topk(
                count + 1).values)
    for name, values in named.items():
        out[part, file, name] = np.stack(values)
    out.update(video_results(fixture, session))
    return out


def all_masks(model: InstanceFormer, features: Tensor, frame: Any,
              size: tuple[int, int]) -> Tensor:
    """Logits of every query of the last layer, (Q, h, w)."""
    queries = torch.arange(frame.logits.shape[2])
    zeros = torch.zeros_like(queries)
    where = zeros + len(frame.logits) - 1, zeros, queries
    with torch.no_grad():
        return model.mask_logits(features, frame, where,
                                 torch.tensor([[size[1], size[0]]]))


def video_results(fixture: Fixture, session: Any) -> Results:
    """Tracks; the category of a channel is its number."""
    part = 'inference'
    result = session.finish()
    channels = fixture.run['arch']['head_channels']
    video = fixture.json('results.json')[0]['video_id']
    entries = result.to_ytvis(video, list(range(channels)))
    return {
        (part, 'outputs.npz', 'result_scores'):
            np.array([e['score'] for e in entries]),
        (part, 'outputs.npz', 'result_labels'):
            np.array([e['category_id'] for e in entries]),
        (part, 'results.json', ''): entries
    }


# -- training ----------------------------------------------------------------
def clip_truth(fixture: Fixture) -> ClipTruth:
    """The stored objects of one clip."""
    target = fixture.targets()
    boxes = torch.from_numpy(target['boxes'])[None]
    masks = torch.from_numpy(target['masks'])[None]
    height, width = fixture.inputs('losses')['padded_hw']
    tall, wide = masks.shape[-2:]
    grown = F.pad(masks, (0, width - wide, 0, height - tall))
    labels = torch.from_numpy(np.asarray(target['labels'], np.int64))[None]
    sizes = torch.tensor([wide, tall]).expand(1, masks.shape[1], 2).float()
    cxcywh = boxes.transpose(1, 2)
    return ClipTruth(
        labels, cxcywh, bbox_cxcywh_to_xyxy(cxcywh),
        grown[..., 2::4, 2::4].transpose(1, 2),
        masks.flatten(3).any(-1).transpose(1, 2),
        torch.ones_like(labels, dtype=torch.bool), sizes)


def training(fixture: Fixture) -> Results:
    """Losses of one clip, matchings and gradients."""
    part, file = 'losses', 'outputs.npz'
    model = build(fixture, part).train()
    (frames, ) = fixture.frames(part)
    truth = clip_truth(fixture)
    length = truth.present.shape[2]
    decoded: list[Any] = []
    states: list[Any] = []
    matched_by_frame: list[Any] = []
    masks: list[Tensor] = []
    decode, propagate = model.decode, model.propagate
    match, mask_logits = model.matcher.match, model.mask_logits
    model.decode = lambda *a, **k: decoded.append(
        decode(*a, **k)) or decoded[-1]
    model.propagate = lambda *a: states.append(propagate(*a)) or states[-1]
    model.matcher.match = lambda *a: matched_by_frame.append(
        match(*a)) or matched_by_frame[-1]
    model.mask_logits = lambda *a: masks.append(mask_logits(*a)) or masks[-1]
    sizes = [tuple(int(x) for x in truth.sizes[0, 0].flip(0))] * length
    encoded = model.segmenter.encode_frames(torch.from_numpy(frames), sizes)
    losses = model.clip_losses(
        encoded, model.segmenter.mask_features(encoded), truth)

    out: Results = {}
    count = truth.valid.sum()
    layers = len(model.segmenter.decoder.layers)
    weights = fixture.run['train']['loss_weights']
    for layer in range(layers):
        prefix, suffix = ((f'd{layer}.', f'_{layer}')
                          if layer < layers - 1 else ('', ''))
        for theirs, ours in LOSSES.items():
            out[part, file, f'loss/loss_{theirs}{suffix}'] = to_numpy(
                losses[f'{prefix}loss_{ours}'] / weights[theirs])
        found = torch.stack([
            (f.logits[layer, 0].argmax(-1) != f.logits.shape[-1] - 1).sum()
            for f in decoded])
        out[part, file, f'loss/cardinality_error{suffix}'] = to_numpy(
            (found - count).abs().float().mean())
        query = matched_by_frame[-1].best[layer, 0].numpy()
        order = query.argsort()
        out[part, file, f'train/match_layer{layer}'] = np.stack(
            (query[order], order))
    total = torch.stack(list(losses.values())).sum()
    out[part, file, 'loss/total_weighted'] = to_numpy(total)
    for name, value in (('logits', [f.logits[-1, 0] for f in decoded]),
                        ('boxes', [f.decoded.boxes[-1, 0] for f in decoded]),
                        ('masks', [m[-int(count):] for m in masks])):
        out[part, file, f'train/pred_{name}'] = np.stack(
            [to_numpy(v) for v in value])
    if model.contrast is not None:
        out[part, file, 'loss/supcon'] = to_numpy(
            losses['loss_contrast'] / weights['supcon'])
        matched = np.sort(matched_by_frame[-1].best[-1, 0].numpy())
        other = model.segmenter.query_embed.num_embeddings + 1
        index = []
        for state in states:
            stored = to_numpy(state.memory.sources[0, -1])
            rest = stored[~np.isin(stored, matched)]
            index.append(np.concatenate((matched, rest)))
        out[part, file, 'train/supcon_idx'] = np.where(
            np.isin(index, matched), index, other)
        out[part, file, 'train/supcon_feats'] = np.stack([
            to_numpy(state.queries[0])[i]
            for state, i in zip(states, index, strict=True)])
    rename = KEY_MAPS['instanceformer'].rename
    aliases = fixture.manifest['aliases']
    ours = {rename(n): n for n in fixture.weights(part) if n not in aliases}
    names = {n: ours[n] for n, _ in model.named_parameters()}
    norms = gradient_norms(model, total, names)
    # The class prior does nothing; the released code has rounding noise.
    norms = {n: max(v, 0.) for n, v in norms.items()}
    for alias, name in aliases.items():
        norms[alias] = norms[name]
    out[part, file, 'train/grad_norms'] = norms
    return out
