"""The parts of MemCNP one by one, against the released code."""
from typing import Any, Dict, Tuple

import numpy as np
import torch
from mmdet.models.losses import FocalLoss, GIoULoss
from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
from mmengine.structures import InstanceData
from torch import Tensor

from mmvis_memcnp.models.layers import fast_nms
from mmvis_memcnp.models.matching import SmallestBoxTarget, USSAssigner
from mmvis_memcnp.models.memcnp import MemCNP, MemCNPLoss, distances_to_boxes
from mmvis_memcnp.models.memcnp.losses import Support
from mmvis_memcnp.models.trackers import CueTracker, TrackResult
from mmvis_memcnp.ops import crop_split, crop_split_gt
from tests.parity.fixture import Fixture
from tests.parity.official_parts import (
    CentreRadiusAssigner,
    OfficialBoxTarget,
    official_energy_score,
    official_ratio_rule,
)

PART, FILE = 'units', 'outputs.npz'
# "sigma - 0.1" in train.scoring_rules: these two subtract the least sigma.
SIGMA_OFFSET = {'GMM': 0., 'NLL': 0.1, 'ES': 0.1}


def compute(fixture: Fixture) -> Dict[Tuple[str, str, str], Any]:
    """Every array of the fixture, from the product's parts."""
    arrays = {
        name: {k: torch.from_numpy(v.copy()) for k, v in value.items()}
        if isinstance(value, dict) else torch.from_numpy(value.copy())
        for name, value in fixture.arrays(PART).items()
    }
    found: Dict[str, Any] = {}
    for section in (_memory, _rules, _assigners, _targets, _losses, _crop,
                    _tracker, _nms):
        found.update(section(fixture, arrays))
    return {(PART, FILE, key): value.detach().numpy() if isinstance(
        value, Tensor) else value for key, value in found.items()}


def _memory(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    run = fixture.run
    state = {
        'bank.' + name.replace('feat_units.weight', 'items'):
        torch.from_numpy(value)
        for name, value in fixture.weights(PART).items()
    }
    feat_dims = arrays['memory_x'].size(1)
    x, y = arrays['memory_x'], arrays['memory_y']

    def build(rate: float) -> MemCNP:
        memory = MemCNP(
            num_items=run['arch']['memory']['items'],
            feat_dims=feat_dims,
            hidden_dims=run['arch']['memory']['mlp'][1],
            rate=rate,
            temperature=1.0,
            normalize=True,
            revive=0.,
            learnable=True,
            decay_unused=run['train']['memory_decays_unused'])
        memory.load_state_dict(state, strict=True)
        return memory

    points, y = (v.permute(0, 2, 3, 1).flatten(0, 2) for v in (x, y))
    everywhere = torch.ones(len(points), dtype=torch.bool)

    def as_map(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (len(x), *x.shape[2:])).permute(0, 3, 1, 2)

    memory = build(0.).eval()
    found = dict(
        mem_eval_out=as_map(memory.read(points)),
        mem_top1=memory.bank.similarity(points).argmax(1))
    memory.write(points[None], points[None, :, :2],
                 points.new_zeros(1, 1, 4), everywhere[None, :1])
    found['mem_eval_with_y_after'] = memory.bank.items.clone()
    for case, options in run['train']['cases'].items():
        bank = build(options['memory_rate']).train().bank
        z = points.clone().requires_grad_()
        out = as_map(bank.read(z, bank.write(z, y, everywhere)))
        found[f'mem_{case}_train_out'] = out
        found[f'mem_{case}_after'] = bank.items.clone()
        ramp = torch.linspace(-1, 1, out.numel()).view_as(out)
        (out * ramp).sum().backward()
        found[f'mem_{case}_grad_units'] = bank.items.grad
        found[f'mem_{case}_grad_fc1'] = bank.mlp.fc1.weight.grad
        found[f'mem_{case}_grad_x_is_none'] = np.asarray(z.grad is None)
        # The maps upside down and from right to left.
        z, last = (as_map(v).flip(axis).permute(0, 2, 3, 1).flatten(0, 2)
                   for v, axis in ((points, 2), (y, 3)))
        found[f'mem_{case}_train_out2'] = as_map(
            bank.read(z, bank.write(z, last, everywhere)))
        found[f'mem_{case}_after2'] = bank.items
    return found


def _rules(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    points, gts = arrays['rule_pairs'].unbind(1)
    found = {}
    for rule in fixture.run['train']['scoring_rules']:
        mu = arrays['rule_mu'].clone().requires_grad_()
        sigma = arrays['rule_sigma'].clone().requires_grad_()
        offset = SIGMA_OFFSET.get(rule, 0.)
        support = Support(mu[points], sigma[points] - offset,
                          arrays['rule_centreness'][points], gts,
                          arrays['rule_gts'], arrays['rule_uncertainty'])
        if rule == 'contrast':
            loss = official_ratio_rule(support, mu, sigma,
                                       arrays['rule_positive'])
        else:
            criterion = MemCNPLoss(
                'gmm' if rule == 'GMM' else 'nll',
                alpha='points',
                box_unit='image',
                sigma_samples='positives',
                sigma_norm='smooth_l1',
                reduction='image_sum')
            if rule == 'ES':
                _, regulariser = criterion.terms(support)
                draws = arrays['rule_samples']
                score = official_energy_score(
                    support, [draws[g] for g in sorted(draws)])
                loss = (score / len(mu) + regulariser).sum()
            else:
                loss = criterion(support, num_points=len(mu), num_images=1)
        grads = torch.autograd.grad(loss, (mu, sigma), allow_unused=True)
        found[f'sr_{rule}_loss'] = loss
        for name, grad in zip(('mu', 'sigma'), grads, strict=True):
            found[f'sr_{rule}_grad_{name}'] = torch.zeros_like(
                mu) if grad is None else grad
    return found


def _grid(fixture: Fixture, arrays: Dict) -> Tuple[Tensor, Tensor]:
    sizes = [tuple(s) for s in arrays['assign_level_sizes'].tolist()]
    grids = MlvlPointGenerator(fixture.run['train']['strides']).grid_priors(
        sizes, device=arrays['assign_boxes'].device, with_stride=True)
    levels = torch.cat(
        [torch.full((len(g), ), i) for i, g in enumerate(grids)])
    return torch.cat(grids), levels


def _assigners(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    train = fixture.run['train']
    priors, levels = _grid(fixture, arrays)
    boxes = arrays['assign_boxes'][None]
    valid = torch.ones(boxes.shape[:2], dtype=torch.bool)
    sigmas = arrays['assign_sigma'][None, :, None].expand(-1, -1, 4)
    centre = arrays['assign_centreness'][None]
    modes = dict(
        none=CentreRadiusAssigner(train['assigner_none_radius_strides']),
        uncert=USSAssigner(train['uss_topk'], candidates='nearest'),
        objbox=CentreRadiusAssigner(
            2 * train['objbox_radius_half_res_px'], unit='pixel'))
    found = {}
    for mode, assigner in modes.items():
        result = assigner.match(priors, levels, boxes, valid, sigmas,
                                       centre)
        found[f'as_{mode}_pos'] = result.pos[0]
        found[f'as_{mode}_neg'] = result.neg[0]
    return found


def _targets(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    priors, levels = _grid(fixture, arrays)
    points = priors[levels == 0, :2]
    found = {}
    for entry in fixture.entries():
        if not entry.key.startswith('tg_ltrb_'):
            continue
        num = entry.values['g']
        boxes = arrays['assign_boxes'][None, :num]
        valid = torch.ones(boxes.shape[:2], dtype=torch.bool)
        # With one box there is nothing to choose: the product's rule. The
        # masks of several boxes carry the error and are skipped.
        if num == 1:
            target = SmallestBoxTarget()(points, boxes, valid)
            found[f'tg_mask_{num}'] = target.inside[0]
        else:
            target = OfficialBoxTarget()(points, boxes, valid)
        found[f'tg_ltrb_{num}'] = target.ltrb[0]
    return found


def _losses(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    logits, targets = arrays['focal_logits'], arrays['focal_targets']
    # Stored with 0 = background; mmdet's background is the class count.
    labels = torch.where(targets > 0, targets - 1, logits.size(1))
    return dict(
        dec_boxes=distances_to_boxes(
            arrays['decode_points'], arrays['decode_distances'],
            torch.ones(4)),
        giou_loss=GIoULoss(eps=1e-6)(arrays['giou_pred'],
                                     arrays['giou_target']),
        focal_sum=FocalLoss(reduction='sum')(logits, labels))


def _crop(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    found = {}
    for c, data in arrays['crop_data'].items():
        boxes = arrays['crop_boxes'][c]
        data = data.clone().requires_grad_()
        out = crop_split(data, boxes, c)
        out.backward(arrays['crop_grad_out'][c])
        found[f'crop_c{c}_out'] = out
        found[f'crop_c{c}_grad_in'] = data.grad
        numbered = torch.arange(1., c * c + 1)[:, None, None, None]
        numbered = numbered.expand_as(data).contiguous()
        found[f'crop_c{c}_cell'] = crop_split(numbered, boxes, c).long() - 1
        found[f'crop_c{c}_gt_out'] = crop_split_gt(arrays['crop_gt'][c],
                                                   boxes, c)
    example = arrays['crop_example_data']
    found['crop_example_out'] = crop_split(example,
                                           arrays['crop_example_box'],
                                           int(len(example)**0.5))
    return found


def _tracker(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    options = dict(fixture.run['test']['tracker'])
    stride = options.pop('stride')
    reset = options.pop('reset_before_frame')
    tracker = CueTracker(
        association=dict(type='CueAssociation', **options),
        memory=dict(type='LatestMemory'))
    found = {}
    state, rows = tracker.start(), torch.empty(0)
    for t, frame in sorted(arrays['track_detections'].items()):
        if t == reset:
            state, rows = tracker.start(), frame.new_empty(0, frame.size(1))
        column, line = ((frame[:, :2] + frame[:, 2:4]) / 2 /
                        stride).round().long().unbind(1)
        detections = InstanceData(
            bboxes=frame[:, :4],
            scores=frame[:, 4],
            labels=arrays['track_labels'][t],
            embeds=arrays['track_maps'][t][:, line, column].t())
        before = state
        result, state = tracker.step(state, detections)
        ids = _with_beaten(before.ids, result)
        found[f'trk{t}_ids'] = ids
        found[f'trk{t}_comp'] = result.scores
        # The product remembers the boxes; the fixture whole rows. Those
        # beyond the boxes follow the ids, the last one with an id holds.
        grown = frame.new_zeros(len(state), frame.size(1))
        grown[:len(rows)] = rows
        for row, identity in zip(frame, ids.tolist(), strict=True):
            if identity >= 0:
                grown[identity] = row
        rows = torch.cat((state.boxes, grown[:, 4:]), dim=1)
        found[f'trk{t}_mem_boxes'] = rows
        found[f'trk{t}_mem_labels'] = state.labels
        found[f'trk{t}_mem_feat_sum'] = tracker.memory.read(state.memory)[0]
    return found


def _with_beaten(known: Tensor, result: TrackResult) -> Tensor:
    """Identities as the released code lists them.

    It goes through the detections, and one that beats an earlier one takes
    the identity over without taking it away.

    Args:
        known: (M,) identities before the frame.
        result: of the tracker.
    """
    ids, best = result.ids.clone(), dict.fromkeys(known.tolist(), -100.)
    values, columns = result.scores.max(1)
    for i, (value, column) in enumerate(
            zip(values.tolist(), columns.tolist(), strict=True)):
        identity = int(known[column - 1]) if column else -1
        if column and value > best[identity]:
            best[identity], ids[i] = value, identity
    return ids


def _nms(fixture: Fixture, arrays: Dict) -> Dict[str, Any]:
    options = fixture.run['test']['nms']
    boxes, scores, labels, rows = fast_nms(
        arrays['nms_boxes'], arrays['nms_scores'], options['iou'],
        options['score_thr'], options['pre_nms'], options['max_per_img'])
    return dict(
        nms_out=torch.cat((boxes, scores[:, None]), dim=1),
        nms_classes=labels,
        nms_idx=rows)
