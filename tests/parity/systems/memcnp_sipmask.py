"""SipMask with MemCNP, as released."""
import torch

from mmvis_memcnp.converters import MEMCNP_SIPMASK
from tests.parity import official_parts  # noqa: F401
from tests.parity.fixture import Fixture
from tests.parity.systems.dense import (
    CONFIGS,
    Results,
    build_model,
    gradient_norms,
    inference,
    loss_batch,
    to_numpy,
)

CONFIG = CONFIGS / 'sipmask' / 'sipmask-memcnp_{}_official.py'


def compute(fixture: Fixture) -> Results:
    """Every array of a fixture of SipMask with MemCNP."""
    run = fixture.run
    arch, test, train = run['arch'], run['test'], run['train']
    config = CONFIG.with_name(CONFIG.name.format(
        arch['backbone'].replace('_', '-')))
    items = arch['memory']['items']
    head: dict = dict(
        memcnp=dict(
            num_items=items,
            feat_dims=arch['memory']['item_dim'] - 4,
            hidden_dims=arch['memory']['mlp'][1],
            rate=train['memory_rate'],
            decay_unused=train['memory_decays_unused']),
        vector_rounding=test['tracker']['vector_at'].split('(')[0],
        clip_boxes=dict(padded_hw='input')[test['clamp_boxes_to']])
    model = build_model(fixture, 'inference', config, dict(bbox_head=head))
    out = inference(fixture, model, _watch)
    for case, options in train['cases'].items():
        training = dict(
            head,
            ref_jitter=0.,
            temperature=train['contrast_temperature'],
            assigner=_assigner(options['assigner'], train),
            point_targets=dict(type='OfficialBoxTarget'),
            loss_track=dict(
                _delete_=True,
                type='OfficialContrastiveTrackingLoss',
                temperature=train['contrast_temperature'],
                topk=train['contrast_topk_negatives'],
                num_images=len(fixture.run['targets']['pairs'])),
            loss_cls=dict(
                type='OfficialFocalLoss',
                images=len(fixture.run['targets']['pairs']),
                num_classes=arch['num_classes']),
            loss_cnp=dict(rule=train['cnp_rule'].lower()))
        out.update(_losses(fixture, case, config, training))
    return out


def _assigner(mode: str, train: dict) -> dict:
    if mode == 'uncert':
        return dict(type='USSAssigner', topk=train['uss_topk'])
    if mode == 'none':
        return dict(
            _delete_=True,
            type='CentreRadiusAssigner',
            radius=train['assigner_none_radius_strides'],
            unit='stride')
    # Measured on the half-resolution canvas.
    return dict(
        _delete_=True,
        type='CentreRadiusAssigner',
        radius=2 * train['objbox_radius_half_res_px'],
        unit='pixel')


def _losses(fixture: Fixture, case: str, config, head: dict) -> Results:
    model = build_model(fixture, 'losses', config, dict(bbox_head=head))
    model.train()
    key, ref, key_gt, ref_gt = loss_batch(fixture)
    seen: dict = {}
    assign = model.bbox_head.assigner.assign_batch

    def spy(*args, **kwargs):
        seen['picked'] = assign(*args, **kwargs)
        return seen['picked']

    model.bbox_head.assigner.assign_batch = spy
    model.bbox_head.loss_cnp.register_forward_pre_hook(
        lambda _m, _a, kwargs: seen.update(cnp=kwargs), with_kwargs=True)
    losses = model.bbox_head.loss(
        model.extract_feat(key), model.extract_feat(ref), key_gt, ref_gt)
    if fixture.run['train']['zero_loss_match_at_zero_accuracy']:
        losses['loss_match'] = losses['loss_match'] * (
            losses['match_acc'] != 0)
    total = sum(v for k, v in losses.items() if k.startswith('loss'))

    part, file = 'losses', 'losses.npz'
    out: Results = {}
    for name, value in dict(losses, loss=total).items():
        out[part, file, f'{case}/{name}'] = to_numpy(value)
    picked = seen['picked']
    image, point = picked.pos.nonzero(as_tuple=True)
    for b in range(len(key)):
        own = image == b
        points = point[own]
        gts = picked.gt_index[b, points]
        named = dict(
            pos_points=points,
            neg_points_packed=picked.neg[b],
            cent_target=picked.centreness[b],
            pair_ind=torch.stack([points, gts], 1),
            tgt_uncert=seen['cnp']['uncertainty'][own])
        for name, value in named.items():
            out[part, file, f'{case}/{name}{b}'] = to_numpy(value)
    official = dict(
        zip((MEMCNP_SIPMASK.rename(n) for n in fixture.weights('losses')),
            fixture.weights('losses'), strict=True))
    for name, norm in gradient_norms(model, total, official).items():
        out[part, file, f'{case}/gradnorm/{name}'] = norm
    out[part, file, f'{case}/memory_after'] = to_numpy(
        model.bbox_head.memcnp.bank.items)
    return out


def _watch(recorder, head):
    outputs: list = []
    head.register_forward_hook(lambda _m, _i, o: outputs.append(o))
    recorder.watch('reg', head.fcos_reg)
    recorder.watch('context', head.memcnp)
    queries: list = []
    head.memcnp.register_forward_pre_hook(
        lambda _m, args: queries.append(args[0]))

    def maps(recorder):
        outs = outputs.pop()
        height, width = (s * head.mask_stride for s in outs.basis.shape[-2:])
        named = dict(
            basis=outs.basis, basis_stats=outs.basis, track=outs.track_map,
            track_stats=outs.track_map)
        reg, context = recorder.take('reg'), recorder.take('context')
        for level, points in enumerate(head.points(outs.cls_scores)):
            size = outs.cls_scores[level].shape[-2:]

            def as_map(x, size=size):
                return x.transpose(1, 2).unflatten(2, size)

            named[f'memin{level}'] = as_map(queries[level])
            named[f'context{level}'] = as_map(context[level])
            named[f'context{level}_stats'] = as_map(context[level])
            named[f'cls{level}'] = outs.cls_scores[level]
            named[f'reg{level}'] = reg[level]
            named[f'ctr{level}'] = outs.centernesses[level]
            named[f'relpos{level}'] = (
                points / points.new_tensor([width, height]))[None]
        queries.clear()
        return named

    return maps
