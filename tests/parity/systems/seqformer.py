"""SeqFormer: whole videos, windows and losses."""
import copy

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmvis_memcnp.converters import KEY_MAPS, check_against
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems.common import CONFIGS, Recorder, Results, to_numpy

CONFIG = CONFIGS / 'seqformer' / 'seqformer_{}_official.py'
#: Names of the losses here and there.
LOSSES = dict(loss_cls='ce', loss_bbox='bbox', loss_giou='giou',
              loss_mask='mask', loss_dice='dice')


#: What the model cannot be told: a manifest that says something else is
#: refused rather than answered with other numbers.
FIXED = dict(
    test=dict(
        whole_video=True, multi_class=True, mask_thr=0.5,
        mask_resize='bilinear x4, sigmoid, crop, nearest to ori_hw'),
    train=dict(
        dropout=0.0, normaliser='ground truths of the batch, min 1',
        absent_frames='regressed to zero boxes, not masked out',
        mask_target_stride='[2::4, 2::4] of the padded mask'))


def compute(fixture: Fixture) -> Results:
    """Every array of a SeqFormer fixture."""
    for block, fixed in FIXED.items():
        for key, value in fixed.items():
            if fixture.run[block][key] != value:
                raise ManifestError(
                    f'{block}.{key} is {fixture.run[block][key]!r}; '
                    f'supported: {value!r}')
    out: Results = {}
    inference(fixture, out)
    clip_matching(fixture, out)
    losses(fixture, out)
    return out


def build_model(fixture: Fixture, part: str, **overrides):
    """The model of the ``_official`` config with the fixture's weights.

    Args:
        fixture: what to reproduce; sizes, weights and thresholds are its.
        part: whose weights to load.
        overrides: model settings of this part.
    """
    init_default_scope('mmdet')
    arch, test, train = (fixture.run[k] for k in ('arch', 'test', 'train'))
    cfg = Config.fromfile(
        CONFIG.with_name(CONFIG.name.format(arch['backbone']))).model
    common = dict(
        embed_dims=arch['d'], num_levels=arch['levels'],
        num_heads=arch['heads'], num_points=arch['points'],
        feedforward_channels=arch['ffn'], dropout=train['dropout'])
    cfg.segmenter.backbone.update(
        style=arch['backbone_style'],
        frozen_stages=arch['backbone_frozen_stages'])
    cfg.segmenter.neck.update(out_channels=arch['d'], num_outs=arch['levels'])
    cfg.segmenter.encoder.update(num_layers=arch['enc_layers'], **common)
    cfg.segmenter.decoder.update(num_layers=arch['dec_layers'], **common)
    cfg.segmenter.mask_branch.update(in_channels=arch['d'],
                           out_channels=arch['mask_feat_channels'])
    focal, matcher = train['focal'], train['matcher']
    norms = {'Euclidean over the flattened T*4 vector': 2.}
    costs = cfg.matcher.costs
    costs.cls.update(focal, weight=matcher['cls'])
    costs.bbox.update(weight=matcher['bbox'], norm=norms[matcher['bbox_norm']])
    costs.giou.update(weight=matcher['giou'])
    cfg.loss.update(
        **{f'{ours[5:]}_weight': train['loss_weights'][theirs]
           for ours, theirs in LOSSES.items()}, **focal)
    cfg.segmenter.update(
        num_classes=arch['num_classes'], num_queries=arch['num_queries'])
    cfg.update(
        top_k=test['top_k_queries'],
        ranking=dict(type='LatestClass', score_thr=test['cls_thr']),
        **overrides)
    model = MODELS.build(copy.deepcopy(cfg))
    state = KEY_MAPS['seqformer'].convert({
        k: torch.from_numpy(np.asarray(v))
        for k, v in fixture.weights(part).items()
    })
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


def frame_metas(fixture: Fixture, part: str) -> list[dict]:
    """Sizes of the frames of the one clip of a part."""
    item = fixture.inputs(part)
    (count, height, width, _), = item['frames']
    return [
        dict(img_shape=(height, width), ori_shape=tuple(item['ori_hw']),
             frame_id=t) for t in range(count)
    ]


def inference(fixture: Fixture, out: Results) -> None:
    """A whole video in one piece."""
    part, file = 'inference', 'outputs.npz'
    model = build_model(fixture, part, window=None).eval()
    (clip, ), metas = fixture.frames(part), frame_metas(fixture, part)
    recorder = Recorder()
    for name in ('backbone', 'neck', 'encoder', 'decoder', 'mask_branch'):
        recorder.watch(name, getattr(model.segmenter, name))
    frames = torch.from_numpy(clip)
    # Calls before the last one only ask how many bytes an empty frame takes.
    # The stem and the first stage, which the model itself does not return.
    first = Recorder()
    first.watch('res2', model.segmenter.backbone.layer1)
    for layer in model.segmenter.decoder.layers:
        first.watch('weight', layer.frame_weight)
    session = model.session()
    assert not session.step(frames, metas)
    results = session.flush()
    named: dict = dict(backbone_res2=first.take('res2')[-1])
    for i, fmap in enumerate(recorder.take('backbone')[-1], 3):
        named[f'backbone_res{i}'] = fmap
    for i, fmap in enumerate(recorder.take('neck')[-1]):
        named[f'neck_l{i}'] = fmap
    encoded = recorder.take('encoder')[-1]
    sizes = [h * w for h, w in encoded.shapes]
    for i, mask in enumerate(encoded.padding.split(sizes, 1)):
        named[f'padmask_l{i}'] = mask.unflatten(1, encoded.shapes[i])
    named['memory'] = encoded.memory
    decoded = recorder.take('decoder')[-1]
    features = recorder.take('mask_branch')[-1]
    for stem, value in list(named.items()):
        for suffix in ('f0', 'f1', 'stats', 'shape'):
            named[f'{stem}_{suffix}'] = value
    hidden = torch.cat(decoded.instances)
    boxes = torch.cat(decoded.box_queries)
    with torch.no_grad():
        segmenter = model.segmenter
        params = segmenter.mask_controller(hidden[-1])
        size = torch.tensor(metas[0]['img_shape'][::-1])
        zero = torch.zeros(len(params), dtype=torch.long)
        masks = torch.stack([
            segmenter.mask_head(features[t:t + 1], params, points * size, zero)
            for t, points in enumerate(decoded.references[-1][0])
        ], dim=1)
        logits = [b(h) for b, h in zip(segmenter.cls_branches, hidden,
                                       strict=True)]
    named.update(
        valid_ratios=encoded.valid_ratios[:1],
        init_reference=decoded.references[0][0, 0],
        inter_references=torch.cat(decoded.boxes), hs_sub=hidden,
        hs_last=hidden, hs_stats=hidden, hs_box_sub=boxes,
        hs_box_stats=boxes, time_weights=torch.cat([
            w.float().softmax(1)[..., 0] for w in first.take('weight')
        ]),
        pred_logits=logits[-1], pred_logits_l0=logits[0],
        pred_boxes=decoded.boxes[-1][0], mask_feats=features,
        dyn_params=params, pred_masks_sub=masks, pred_masks_stats=masks,
        pred_masks_mean=masks,
        top10_queries=logits[-1].amax(1).topk(model.top_k).indices)
    named.update(video_result('result', results, session.finish()))
    for name, value in named.items():
        out[part, file, name] = to_numpy(value)


def clip_matching(fixture: Fixture, out: Results) -> None:
    """The same video in windows, fed frame by frame."""
    part, file = 'clip_matching', 'outputs.npz'
    test = fixture.run['test']['clip_matching']
    if test['fuse'] != 'mean of mask logits and class probabilities over ' \
            'windows':
        raise ManifestError(f'unknown fuse {test["fuse"]!r}')
    model = build_model(
        fixture, part,
        window=dict(type='ClipMatching', length=test['clip_length'],
                    stride=test['clip_stride'],
                    match_thr=test['match_thr'])).eval()
    (clip, ), metas = fixture.frames(part), frame_metas(fixture, part)
    windows: list[InstanceData] = []
    decode = model.decode
    model.decode = lambda *a: windows.append(decode(*a)) or windows[-1]
    session = model.session()
    results = []
    for frame, meta in zip(torch.from_numpy(clip), metas, strict=True):
        results += session.step(frame[None], [meta])
    results += session.flush()
    for i, window in enumerate(windows):
        scores, labels = window.class_scores.max(1)
        out[part, file, f'clip{i}_scores'] = to_numpy(scores)
        out[part, file, f'clip{i}_classes'] = to_numpy(labels)
    for name, value in video_result('clipmatch', results,
                                    session.finish()).items():
        out[part, file, name] = value


def video_result(stem: str, results: list[InstanceData], video) -> dict:
    """The tracks of a video as arrays, a row a track."""
    masks = np.stack([
        np.stack([coco_mask.decode(rle) if rle else
                  np.zeros(video.ori_shape, np.uint8)
                  for rle in track.segmentations]) for track in video.tracks
    ]).astype(bool)
    assert [r.frame_id for r in results] == list(range(video.num_frames))
    return {
        f'{stem}_scores': np.array([t.score for t in video.tracks]),
        f'{stem}_labels': np.array([t.label for t in video.tracks]),
        f'{stem}_mask_area': masks.sum((2, 3)),
        f'{stem}_masks_packed': masks
    }


def losses(fixture: Fixture, out: Results) -> None:
    """Losses, assignment and gradients of a batch of clips."""
    part, file = 'losses', 'losses.npz'
    model = build_model(fixture, part).train()
    clips = fixture.frames(part)
    inputs = torch.from_numpy(np.stack(clips))
    samples = [clip_sample(fixture, b, inputs.shape[-2:])
               for b in range(len(clips))]
    seen: dict = {}
    match, loss = model.matcher.match, model.clip_loss.forward

    def keep_matches(*args):
        seen['matches'] = match(*args)
        return seen['matches']

    def keep_inputs(*args):
        seen.update(zip(('logits', 'boxes', 'masks'), args, strict=False))
        seen['truth'] = args[4]
        return loss(*args)

    model.matcher.match = keep_matches
    model.clip_loss.forward = keep_inputs
    values = model.loss(inputs, samples)
    total = sum(v for k, v in values.items() if 'loss' in k)
    layers, batch = seen['logits'].shape[:2]
    named: dict = {'loss/class_error': values['class_error'],
                   'loss_total': total}
    for ours, theirs in LOSSES.items():
        named[f'loss/loss_{theirs}'] = values[ours]
        for i in range(layers - 1):
            named[f'loss/loss_{theirs}_{i}'] = values[f'd{i}.{ours}']
    matches, truth = seen['matches'], seen['truth']
    last = []
    for i in range(layers):
        for b in range(batch):
            mine = (matches.layer == i) & (matches.frame == b)
            named[f'match_l{i}_b{b}_query'] = matches.query[mine]
            named[f'match_l{i}_b{b}_gt'] = matches.gt[mine]
            if i == layers - 1:
                last.append(seen['masks'][mine].detach().double())
    for b in range(batch):
        named[f'target{b}_labels'] = truth.labels[b, truth.valid[b]]
        named[f'target{b}_boxes'] = truth.cxcywh[b, truth.valid[b]]
    named.update(train_pred_logits=seen['logits'][-1],
                 train_pred_boxes=seen['boxes'][-1].transpose(1, 2))
    total.backward()
    names = {KEY_MAPS['seqformer'].rename(n): n for n in fixture.weights(part)}
    # What the official model holds and nothing reads, no second names.
    without = [n for n in fixture.weights(part)
               if KEY_MAPS['seqformer'].why_ignored(n)
               and n not in fixture.manifest['aliases']]
    for ours, parameter in model.named_parameters():
        if parameter.grad is not None:
            named[f'gradnorm/{names[ours]}'] = parameter.grad.norm()
        elif parameter.requires_grad:
            without.append(names[ours])
    named['grad_none'] = np.array(without)
    for name, value in named.items():
        out[part, file, name] = to_numpy(value)
    # One tensor of as many rows a video; repeated rows leave mean, minimum and
    # maximum as they are and change the deviation by 1e-5 of it.
    rows = int(np.lcm.reduce([len(m) for m in last]))
    out[part, file, 'train_pred_masks_stats'] = to_numpy(
        torch.stack([m.repeat(rows // len(m), 1, 1, 1) for m in last]))


def clip_sample(fixture: Fixture, b: int, padded) -> TrackDataSample:
    """Clip b as the preprocessor gives it; identities are row numbers."""
    target = fixture.targets()
    annotated = []
    frames, *size = fixture.inputs('losses')['frames'][b][:3]
    for t in range(frames):
        ids = target['ids'][b, t]
        present = ids >= 0
        masks = np.zeros((int(present.sum()), *padded), np.uint8)
        masks[:, :size[0], :size[1]] = target['masks'][b, t][present]
        frame = DetDataSample(
            metainfo=dict(img_shape=tuple(size),
                          batch_input_shape=tuple(padded)))
        frame.gt_instances = InstanceData(
            bboxes=torch.from_numpy(target['boxes'][b, t][present]),
            labels=torch.from_numpy(
                target['labels'][b, t][present].astype(np.int64) -
                fixture.run['targets']['label_base']),
            instances_ids=torch.from_numpy(np.flatnonzero(present)),
            masks=BitmapMasks(masks, *padded))
        annotated.append(frame)
    sample = TrackDataSample()
    sample.video_data_samples = annotated
    return sample
