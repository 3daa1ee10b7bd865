"""tools/analysis_tools/memcnp_report.py on tiny models."""
import copy
import json
import math
import runpy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvis_memcnp.datasets.moving_shapes.generate import generate
from mmvis_memcnp.errors import UserError
from tests.fakes import tiny_idol, tiny_sipmask
from tests.fakes.programs import run_program
from tests.fakes.systems import SYSTEMS, build, clip_of
from tests.fakes.tiny_sipmask import batch, total

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/analysis_tools/memcnp_report.py'
CONFIG = ROOT / 'configs/sipmask/sipmask-memcnp_r18_movingshapes.py'
HOSTS = ('sipmask-memcnp', 'idol-memcnp', 'seqformer-memcnp',
         'dvis-daq-memcnp')


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


@pytest.fixture(params=HOSTS)
def model(request):
    """With items that lie among the points, as after a training."""
    torch.manual_seed(0)
    found = SYSTEMS[request.param]()
    found.name = request.param
    total(found(*batch(found, clip_of(request.param)), mode='loss'))
    return found


def loader(model, batches=2):
    """Batches as a loader gives them, twice as many as are looked at."""
    inputs, sample = clip_of(model.name)
    return [dict(inputs=[inputs], data_samples=[sample])] * 2 * batches


def parts(tool, model):
    return tool['parts_of'](model)


def test_report(tool, model):
    bank = parts(tool, model).bank
    before = copy.deepcopy(bank.state_dict())
    torch.manual_seed(0)
    found, means = tool['report'](model, loader(model), 2)
    memory = found['memory']
    assert memory['items'] == bank.num_items
    assert 1 <= memory['effective_items'] <= bank.num_items
    assert 1 <= memory['items_that_win'] <= bank.num_items
    assert 0 < memory['context_spread'] <= 1
    assert 0 <= memory['top_item_box_error'] < .5
    assert 0 < memory['constant_box_error'] < .5
    assert found['sigma']['median'] > .1
    assert found['sigma']['box_unit'] == 'object'
    assert 0 <= found['sigma']['at_floor'] <= 1
    for name in ('all', 'overlaps'):
        assert 0 <= found['uss_differs'][name] <= 1
    assert json.loads(json.dumps(found)) == found
    assert len(means) == len(parts(tool, model).readouts)
    # A report measures, it does not train.
    after = bank.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize('temperature, low, high', [
    (1e-5, 1, 1.01),  # a peaked bank: the nearest item alone
    (1e5, .99, 1),  # all of its items, a share of them
])
def test_effective_items_by_the_temperature(tool, model, temperature, low,
                                            high):
    bank = parts(tool, model).bank
    # Those of one small write are copies of few points, which tie.
    bank.items += .1 * torch.randn_like(bank.items)
    bank.temperature = temperature
    memory = tool['report'](model, loader(model), 1)[0]['memory']
    times = bank.num_items if temperature > 1 else 1
    assert low * times <= memory['effective_items'] <= high * times + 1e-3
    # An even mean is the same for every point.
    assert (memory['context_spread'] < 1e-3) == (temperature > 1)


def test_gradients_are_those_of_the_losses(tool, model):
    """R_sigma does not reach mu nor GIoU sigma: what the loss of the
    distribution does to mu is the likelihood's."""
    def on_rows(loss, weight):
        grad, = torch.autograd.grad(loss, weight, retain_graph=True)
        return {'mu': grad[:4].norm().item(), 'sigma': grad[4:8].norm().item()}

    own = parts(tool, model)
    model.train()
    for weight in (1., 0.):  # of R_sigma
        own.loss.sigma_weight = weight
        recorder = tool['Recorder'](own)
        torch.manual_seed(0)
        losses = model(*batch(model, clip_of(model.name)), mode='loss')
        found = tool['gradients'](recorder, losses)
        cnp = on_rows(losses['loss_cnp'], own.outputs)
        geometric = on_rows(losses[own.geometric], own.outputs)
        assert found['nll_on_mu'] == pytest.approx(cnp['mu'], rel=1e-4) != 0
        assert found['giou_on_mu'] == pytest.approx(geometric['mu'], rel=1e-4)
        assert found['giou_on_sigma'] == found['r_sigma_on_mu'] == 0
        assert (found['r_sigma_on_sigma'] == 0) == (weight == 0)
    # Without R_sigma all that reaches sigma is the likelihood.
    assert found['nll_on_sigma'] == pytest.approx(cnp['sigma'], rel=1e-4) != 0


def test_selection_by_centredness_alone_differs_in_nothing(tool, model):
    parts(tool, model).assigner.lambda_tau = 0.
    found = tool['report'](model, loader(model), 1)[0]['uss_differs']
    assert found == dict(all=0, overlaps=0)


def test_selection_by_certainty_alone_differs(tool):
    model = SYSTEMS['sipmask-memcnp']()
    model.name = 'sipmask-memcnp'
    model.bbox_head.assigner.lambda_tau = 1.
    model.bbox_head.assigner.topk = 1
    assert tool['report'](model, loader(model), 1)[0]['uss_differs'][
        'all'] > .3


def test_objects_that_meet_by_hand(tool):
    """0 and 1 overlap, 2 touches 1, 3 overlaps 0 but is padding."""
    boxes = torch.tensor([[[0., 0, 4, 4], [3, 3, 6, 6], [6, 3, 9, 6],
                           [0, 0, 2, 2]]])
    valid = torch.tensor([[True, True, True, False]])
    assert tool['meets_another'](boxes, valid).tolist() == [
        [True, True, False, False]]
    assert tool['share'](torch.tensor([1., 2]), torch.tensor([4., 8])) == .25
    assert tool['share'](torch.zeros(1), torch.zeros(1)) == 0


def test_memory_figures_by_hand(tool):
    """Two items and four points, one of them outside all boxes."""
    model = SYSTEMS['sipmask-memcnp']()
    bank = model.bbox_head.memcnp.bank
    bank.items[:] = -1.  # opposite to all points: they win nothing
    bank.items[0], bank.items[1] = torch.tensor([[0.], [1.]]).expand(2, 20)
    bank.items[0, 0], bank.items[1, :16] = 1., 0.
    bank.items[1, 1] = 1.
    z = torch.zeros(4, 16)
    z[0, 0] = z[1, 0] = z[2, 1] = z[3, 5] = 1.
    y = torch.tensor([.2, 0., 1., 9.])[:, None].expand(4, 4)
    recorder = tool['Recorder'](parts(tool, model))
    valid = torch.tensor([True, True, True, False])
    bank.write(z, y, valid)  # kept, not written
    memory, (mean, ) = tool['memory'](recorder)
    assert memory['items_that_win'] == 2
    # sides are half of y: .1, 0 and 0 off; around their mean .2, .2 and .3
    assert memory['top_item_box_error'] == pytest.approx(.1 / 3, abs=1e-6)
    assert memory['constant_box_error'] == pytest.approx(
        (.1 + .2 + .3) / 3, abs=1e-6)
    assert memory['effective_items'] == pytest.approx(1, abs=1e-3)
    assert torch.allclose(mean, bank.read(z).mean(0))
    inside = bank.read(z[:3]).detach()
    centred = inside - inside.mean(0)
    assert memory['context_spread'] == pytest.approx(
        math.sqrt(centred.square().sum() / inside.square().sum()), rel=1e-4)


@pytest.mark.parametrize('name', HOSTS)
def test_a_mean_context_is_the_same_everywhere(tool, name, tmp_path):
    model = SYSTEMS[name]()
    model.name = name
    _, means = tool['report'](model, loader(model), 1)
    tool['save_constant'](model, means, tmp_path / 'a.pth')
    other = build(name)
    state = torch.load(tmp_path / 'a.pth', weights_only=True)['state_dict']
    other.load_state_dict(state)
    own = parts(tool, other)
    z = torch.randn(30, own.bank.feat_dims)
    for readout, mean in zip(own.readouts, means, strict=True):
        context = own.bank.read(z)
        if own.bank.mlp is None:
            context = readout(context)
        assert torch.allclose(context, mean.expand_as(context), atol=1e-6)
        assert mean.abs().sum() > 0
    # Nothing else has changed.
    before = build(name).state_dict()
    changed = {k for k, v in before.items()
               if 'bank' not in k and not torch.equal(v, state[k])}
    assert all('readout.fc2' in k for k in changed)
    items, = (k for k in before if k.endswith('bank.items'))
    assert torch.equal(before[items], state[items])


@pytest.mark.parametrize('make, sentence', [
    (lambda: tiny_sipmask.tiny_model('sipmask'), 'has no MemCNP'),
    (tiny_idol.tiny_model, 'has no MemCNP'),
    (lambda: tiny_sipmask.tiny_model(memcnp=dict(
        type='CNP', feat_dims=16, num_items=3)), "memcnp of type 'MemCNP'"),
])
def test_models_without_a_memory_are_refused(tool, make, sentence):
    with pytest.raises(UserError, match=sentence):
        tool['parts_of'](make())


def test_from_the_command_line(tmp_path):
    """Of a config's training data, with the constant model beside it."""
    generate(tmp_path / 'data/moving_shapes/easy/train', 2, 4, (128, 192), 0,
             'easy')
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(str(CONFIG)).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
    done = run_program(TOOL, CONFIG, 'w.pth', '--batches', 1, '--json',
                       '--mean-context', 'out/constant.pth', '--device',
                       'cpu', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found['memory']['items'] == 128
    assert found['gradients']['giou_on_mu'] > 0
    state = torch.load(tmp_path / 'out/constant.pth',
                       weights_only=True)['state_dict']
    assert state.keys() == model.state_dict().keys()
    assert not state['bbox_head.memcnp.bank.mlp.fc2.weight'].any()
