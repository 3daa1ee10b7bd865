"""Plain SipMask-VIS."""
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

CONFIG = CONFIGS / 'sipmask' / 'sipmask_{}_official.py'


def compute(fixture: Fixture) -> Results:
    """Every array of a SipMask fixture."""
    arch, train = fixture.run['arch'], fixture.run['train']
    check_fixed(
        fixture.run,
        arch=dict(crop_split=2, memory=None),
        test=dict(clamp_boxes_to='image_hw - 1'),
        train=dict(cases=None))
    config = CONFIG.with_name(CONFIG.name.format(
        arch['backbone'].replace('_', '-')))
    head = dict(
        vector_rounding=fixture.run['test']['tracker']['vector_at'].split(
            '(')[0],
        basis_channels=arch['mask_basis_channels'],
        track_channels=arch['track_channels'],
        center_radius=train['center_radius'],
        regress_ranges=train['regress_ranges'],
        loss_cls=train['focal'])
    model = build_model(fixture, 'inference', config, dict(bbox_head=head))
    out = inference(fixture, model, _watch)

    head['ref_jitter'] = 0.
    model = build_model(fixture, 'losses', config, dict(bbox_head=head))
    key, ref, key_gt, ref_gt = loss_batch(fixture)
    losses = model.bbox_head.loss(*loss_features(model, key, ref), key_gt,
                                  ref_gt)
    total = sum(v for k, v in losses.items() if k.startswith('loss'))
    part, file = 'losses', 'losses.npz'
    for name, value in dict(losses, loss=total).items():
        out[part, file, name] = to_numpy(value)
    names = {n: n for n, _ in model.named_parameters()}
    for name, norm in gradient_norms(model, total, names).items():
        out[part, file, f'gradnorm/{name}'] = norm
    return out


def _watch(recorder, head):
    outputs: list = []
    head.register_forward_hook(lambda _m, _i, o: outputs.append(o))
    recorder.watch('cof', head.sip_cof)
    recorder.watch('reg', head.fcos_reg)

    def maps(recorder):
        outs = outputs.pop()
        named = dict(
            basis=outs.basis, basis_stats=outs.basis, track=outs.track_map,
            track_stats=outs.track_map)
        for level, reg in enumerate(recorder.take('reg')):
            named[f'bbox{level}'] = reg * head.scales[
                level].scale * head.strides[level]
        for stem, levels in (('cof', recorder.take('cof')),
                             ('cls', outs.cls_scores),
                             ('ctr', outs.centernesses)):
            for level, value in enumerate(levels):
                named[f'{stem}{level}'] = value
                named[f'{stem}{level}_stats'] = value
        return named

    return maps
