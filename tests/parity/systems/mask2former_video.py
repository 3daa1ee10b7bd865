"""Mask2Former-VIS: its network, results of videos, losses."""
from unittest import mock

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask
from torch import Tensor

from mmvis_memcnp.converters import KEY_MAPS, check_against, guess_system
from mmvis_memcnp.models.matching import Queries
from mmvis_memcnp.models.truth import ClipTruth
from mmvis_memcnp.models.vis import Mask2FormerVIS
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture
from tests.parity.systems import mask2former
from tests.parity.systems.common import Recorder, Results, to_numpy

CONFIG = mask2former.CONFIGS / '_base_/models/mask2former_vis.py'
#: What the model cannot be told; see ``mask2former.py``.
FIXED = dict(
    arch=dict(levels=3),
    test=dict(
        mask_thr=0.0, whole_video=True,
        mask_resize='bilinear to padded_hw, crop, bilinear to ori_hw, '
        'logits > 0'),
    train=dict(
        mask2former.FIXED['train'],
        normaliser='ground truths of the batch, min 1'))


def compute(fixture: Fixture) -> Results:
    """The arrays of all parts that a fixture has."""
    mask2former.check(fixture, FIXED)
    parts = dict(
        inference=('outputs.npz', inference), plain=('plain.npz', forward),
        losses=('losses.npz', losses))
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


def model_config(fixture: Fixture) -> Config:
    """The shipped config with the fixture's numbers."""
    cfg = mask2former.model_config(fixture)
    base = Config.fromfile(CONFIG)
    cfg.segmenter.decoder.update(base.mask2former_vis_segmenter.decoder)
    cfg.update(base.mask2former_vis)
    top_k = fixture.run['test']['top_k']
    cfg.update(top_k=top_k)
    cfg.ranking.update(num_pairs=top_k)
    return cfg


def build_model(fixture: Fixture, part: str) -> Mask2FormerVIS:
    """The model with the fixture's weights."""
    init_default_scope('mmdet')
    cfg = model_config(fixture)
    cfg.pop('data_preprocessor')
    model = MODELS.build(cfg)
    official = {k: torch.from_numpy(np.asarray(v))
                for k, v in fixture.weights(part).items()}
    state = KEY_MAPS[guess_system(official) or ''].convert(official)
    check_against(model, state)
    model.load_state_dict(state, strict=True)
    return model


def named_maps(recorder: Recorder) -> dict[str, Tensor]:
    """Maps and positions of a forward, by the names of the arrays."""
    named = {f'backbone_res{i}': fmap
             for i, fmap in enumerate(recorder.take('backbone')[0], 2)}
    pixels = recorder.take('pixels')[0]
    named['mask_features'] = pixels.mask_features
    named.update({f'ms{i}': x for i, x in enumerate(pixels.memories)})
    named.update({f'pos3d_{i}': x[0]
                  for i, x in enumerate(recorder.take('position'))})
    return named


@torch.no_grad()
def forward(fixture: Fixture, part: str) -> dict[str, Tensor]:
    """Maps and predictions of one clip, of all layers."""
    model = build_model(fixture, part).train()  # all layers
    recorder = Recorder()
    recorder.watch('backbone', model.segmenter.backbone)
    recorder.watch('pixels', model.segmenter.pixel_decoder)
    recorder.watch('position', model.segmenter.decoder.position)
    recorder.watch('norm', model.segmenter.decoder.norm)
    (clip, ) = fixture.frames(part)
    found = model.segment(torch.from_numpy(clip)[None])
    named = named_maps(recorder)
    layers = len(found.logits)
    for i in range(layers):
        for stem in ([f'aux{i}'] if i < layers - 1 else ['last']):
            named[f'{stem}_logits'] = found.logits[i, 0]
            named[f'{stem}_masks'] = found.masks(layer=i)[0]
    named.update(queries=recorder.take('norm')[-1][0],
                 pred_logits=found.logits[-1], pred_masks=found.masks()[0])
    return {stem + suffix: value for stem, value in named.items()
            for suffix in ('', '_stats', '_sub', '_ch', '_pos_frac')}


@torch.no_grad()
def inference(fixture: Fixture, part: str) -> dict:
    """The network, and the result of a session over the whole video."""
    named: dict = dict(forward(fixture, part))
    model, item = build_model(fixture, part).eval(), fixture.inputs(part)
    (clip, ), (plain_clip, ) = fixture.frames(part), fixture.clips(part)
    session = model.session()
    session.step(torch.from_numpy(clip), [
        dict(img_shape=plain_clip.shape[1:3], ori_shape=tuple(item['ori_hw']))
        for _ in clip])
    tracks = session.finish().tracks
    masks = np.stack([
        np.stack([coco_mask.decode(rle).astype(bool)
                  for rle in x.segmentations]) for x in tracks])
    named.update(
        result_scores=np.array([x.score for x in tracks]),
        result_labels=np.array([x.label for x in tracks]),
        result_masks_area=masks.sum((2, 3)), result_masks_packed=masks)
    return named


def clip_truth(fixture: Fixture, part: str) -> ClipTruth:
    """Objects of the clips on the padded input."""
    target = fixture.targets()
    clips = sorted(target['ids'])
    frames = target['ids'][clips[0]].shape[0]
    most = max(target['ids'][b].shape[1] for b in clips)
    height, width = fixture.inputs(part)['padded_hw']
    masks = torch.zeros(len(clips), most, frames, height, width,
                        dtype=torch.bool)
    labels = torch.zeros(len(clips), most, dtype=torch.long)
    present = torch.zeros(len(clips), most, frames, dtype=torch.bool)
    for row, b in enumerate(clips):
        there = torch.from_numpy(target['ids'][b] >= 0)
        own = torch.from_numpy(target['masks'][b]) & there[..., None, None]
        present[row, :there.shape[1]] = there.T
        masks[row, :own.shape[1], :, :own.shape[2], :own.shape[3]] = \
            own.transpose(0, 1)
        labels[row, :there.shape[1]] = torch.from_numpy(
            target['labels'][b]) - fixture.run['targets']['label_base']
    boxes = torch.zeros(*present.shape, 4)
    return ClipTruth(labels, boxes, boxes, masks, present, present.any(2),
                     torch.ones(len(clips), frames, 2))


def losses(fixture: Fixture, part: str) -> dict:
    """Matching, losses and gradients of one training step."""
    model = build_model(fixture, part).train()
    truth = clip_truth(fixture, part)
    clips = torch.from_numpy(np.stack(fixture.frames(part)))
    found = model.segment(clips)
    with mock.patch('torch.rand', mask2former.pinned_points(fixture)):
        matches = model.matcher.match(
            Queries(found.logits, mask_embeds=found.mask_embeds,
                    mask_features=found.mask_features), truth)
        values = model.clip_loss(found.logits, found.mask_embeds,
                                 found.mask_features, matches, truth)
    named: dict = mask2former.named_losses(values, matches, truth)
    named['total_loss'] = sum(values.values())
    named['total_loss'].backward()
    official = fixture.weights(part)
    named.update(mask2former.gradient_norms(
        model, official, KEY_MAPS[guess_system(official) or '']))
    named['gradnorm:ALL'] = torch.stack([
        p.grad.norm() for p in model.parameters()
        if p.grad is not None]).norm()
    return named
