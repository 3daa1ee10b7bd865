"""SipMask with MemCNP, as released."""
from pathlib import Path

import torch
from mmdet.registry import TASK_UTILS
from torch import nn

from mmvis_memcnp.converters import MEMCNP_SIPMASK
from tests.parity import official_parts
from tests.parity.fixture import Fixture
from tests.parity.systems.common import (
    CONFIGS,
    Results,
    gradient_norms,
    to_numpy,
)
from tests.parity.systems.sipmask_model import (
    build_model,
    check_fixed,
    inference,
    loss_batch,
    loss_features,
)

CONFIG = CONFIGS / 'sipmask' / 'sipmask-memcnp_{}_official.py'


def compute(fixture: Fixture) -> Results:
    """Every array of a fixture of SipMask with MemCNP."""
    run = fixture.run
    arch, test, train = run['arch'], run['test'], run['train']
    memory = arch['memory']
    check_fixed(
        run,
        arch=dict(
            crop_split=1,
            memory=dict(memory, item_dim=arch['channels'] + 4),
            mask_basis_channels=arch['channels'],
            track_channels=arch['channels']),
        train=dict(zero_loss_match_at_zero_accuracy=True))
    config = CONFIG.with_name(CONFIG.name.format(
        arch['backbone'].replace('_', '-')))
    head: dict = dict(
        memcnp=dict(
            num_items=memory['items'],
            feat_dims=arch['channels'],
            hidden_dims=memory['mlp'][1],
            rate=train['memory_rate'],
            decay_unused=train['memory_decays_unused']),
        vector_rounding=test['tracker']['vector_at'].split('(')[0],
        clip_boxes=dict(padded_hw='input')[test['clamp_boxes_to']])
    model = build_model(fixture, 'inference', config, dict(bbox_head=head))
    out = inference(fixture, model, _watch)
    out.update(_all_losses(fixture, config, head))
    return out


def _all_losses(fixture: Fixture, config: Path, head: dict) -> Results:
    """Losses of every case: they differ in the assigner alone.

    So the model is built once and the pyramids are computed once; only the
    memory changes in a case, and is put back before the next.
    """
    train, arch = fixture.run['train'], fixture.run['arch']
    images = len(fixture.run['targets']['pairs'])
    training = dict(
        head,
        ref_jitter=0.,
        memcnp=dict(
            head['memcnp'],
            training=dict(
                loss=dict(rule=train['cnp_rule'].lower()),
                contrast=dict(
                    _delete_=True,
                    type='OfficialContrastiveTrackingLoss',
                    temperature=train['contrast_temperature'],
                    topk=train['contrast_topk_negatives'],
                    num_images=images))),
        loss_cls=dict(
            type='OfficialFocalLoss',
            images=images,
            num_classes=arch['num_classes']))
    overrides: dict = dict(bbox_head=training)
    if arch['vit']:  # the same values; nothing is computed twice
        overrides['backbone'] = dict(with_cp=False)
    model = build_model(fixture, 'losses', config, overrides)
    model.bbox_head.memcnp.point_targets = official_parts.OfficialBoxTarget()
    batch = loss_batch(fixture)
    feats = loss_features(model, *batch[:2])
    items = model.bbox_head.memcnp.bank.items
    before = items.detach().clone()
    out: Results = {}
    for case, options in train['cases'].items():
        with torch.no_grad():
            items.copy_(before)
        model.bbox_head.assigner = TASK_UTILS.build(
            _assigner(options['assigner'], train))
        out.update(_losses(fixture, case, model, feats, batch))
    return out


def _assigner(mode: str, train: dict) -> dict:
    if mode == 'uncert':
        return dict(
            type='USSAssigner', topk=train['uss_topk'], candidates='nearest')
    if mode == 'none':
        return dict(
            type='CentreRadiusAssigner',
            radius=train['assigner_none_radius_strides'],
            unit='stride')
    # Measured on the half-resolution canvas.
    return dict(
        type='CentreRadiusAssigner',
        radius=2 * train['objbox_radius_half_res_px'],
        unit='pixel')


def _losses(fixture: Fixture, case: str, model: nn.Module, feats: tuple,
            batch: tuple) -> Results:
    key_gt, ref_gt = batch[2:]
    head = model.bbox_head
    seen: dict = {}
    assign = head.assigner.match

    def spy(*args, **kwargs):
        seen['picked'] = assign(*args, **kwargs)
        return seen['picked']

    head.assigner.match = spy
    hook = head.loss_cnp.register_forward_pre_hook(
        lambda _m, args: seen.update(support=args[0]))
    losses = head.loss(*feats, key_gt, ref_gt)
    hook.remove()
    losses['loss_match'] = losses['loss_match'] * (losses['match_acc'] != 0)
    total = sum(v for k, v in losses.items() if k.startswith('loss'))

    part, file = 'losses', 'losses.npz'
    out: Results = {}
    for name, value in dict(losses, loss=total).items():
        out[part, file, f'{case}/{name}'] = to_numpy(value)
    picked = seen['picked']
    image, point = picked.pos.nonzero(as_tuple=True)
    for b in range(len(key_gt.boxes)):
        own = image == b
        points = point[own]
        gts = picked.gt_index[b, points]
        named = dict(
            pos_points=points,
            neg_points_packed=picked.neg[b],
            cent_target=picked.centreness[b],
            pair_ind=torch.stack([points, gts], 1),
            tgt_uncert=seen['support'].uncertainty[own])
        for name, value in named.items():
            out[part, file, f'{case}/{name}{b}'] = to_numpy(value)
    official = {
        MEMCNP_SIPMASK.rename(n): n
        for n in fixture.weights('losses')
    }
    for name, norm in gradient_norms(model, total, official).items():
        out[part, file, f'{case}/gradnorm/{name}'] = norm
    out[part, file, f'{case}/memory_after'] = to_numpy(
        model.bbox_head.memcnp.bank.items)
    return out


def _watch(recorder, head):
    outputs: list = []
    head.register_forward_hook(lambda _m, _i, o: outputs.append(o))
    recorder.watch('reg', head.fcos_reg)
    queries: list = []
    contexts: list = []
    read = head.memcnp.read

    def spy(query, scores=None):
        queries.append(query)
        contexts.append(read(query, scores))
        return contexts[-1]

    head.memcnp.read = spy

    def maps(recorder):
        outs = outputs.pop()
        height, width = (s * head.mask_stride for s in outs.basis.shape[-2:])
        named = dict(
            basis=outs.basis, basis_stats=outs.basis, track=outs.track_map,
            track_stats=outs.track_map)
        reg = recorder.take('reg')
        for level, points in enumerate(head.points(outs.cls_scores)):
            size = outs.cls_scores[level].shape[-2:]

            def as_map(x, size=size):
                return x.transpose(1, 2).unflatten(2, size)

            named[f'memin{level}'] = as_map(queries[level])
            named[f'context{level}'] = as_map(contexts[level])
            named[f'context{level}_stats'] = as_map(contexts[level])
            named[f'cls{level}'] = outs.cls_scores[level]
            named[f'reg{level}'] = reg[level]
            named[f'ctr{level}'] = outs.centernesses[level]
            named[f'relpos{level}'] = (
                points / points.new_tensor([width, height]))[None]
        queries.clear()
        contexts.clear()
        return named

    return maps
