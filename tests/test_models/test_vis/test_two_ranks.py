"""A training step on two ranks is that of one process with both clips."""
import pytest
import torch
from mmengine.config import Config
from torch.nn.parallel import DistributedDataParallel

from tests.fakes import (
    tiny_ctvis,
    tiny_dvis_daq,
    tiny_idol,
    tiny_ifr,
    tiny_mask2former_vis,
    tiny_minvis,
    tiny_o2vis,
    tiny_seqformer,
    tiny_sipmask,
)
from tests.fakes import tiny_instanceformer as tiny_former
from tests.fakes.tiny_sipmask import CONFIGS, batch
from tests.fakes.two_ranks import on_two_ranks

RAND = torch.rand
#: As tools/train.py wraps the model.
UNUSED = Config.fromfile(
    CONFIGS.parent / 'default_runtime.py').find_unused_parameters


def idol(**options):
    """One query an object: what is divided by the number of pairs of a
    device is divided by the same on all ranks."""
    return tiny_idol.tiny_model(
        matcher=dict(topk=1), positive_topk=1, **options)


def in_use(model):
    """Items that all win a fair share of the points: none is put on a point,
    which would be one of the first rank's."""
    memcnp = getattr(model, 'memcnp', None) or model.bbox_head.memcnp
    memcnp.bank.usage.fill_(1 / memcnp.bank.num_items)
    return model


# How a model is built, and the clip of each rank. Where losses are divided
# by a number of this device, as the official code does, the clips have as
# many objects; elsewhere the second rank has fewer.
SYSTEMS = {
    'sipmask': (lambda: tiny_sipmask.tiny_model('sipmask'),
                lambda rank: tiny_sipmask.clip(seed=rank)),
    'sipmask-memcnp': (lambda: in_use(tiny_sipmask.tiny_model()),
                       lambda rank: tiny_sipmask.clip(seed=rank)),
    'idol': (idol, lambda rank: tiny_sipmask.clip(seed=rank)),
    'idol-memcnp': (lambda: in_use(idol(
        file=tiny_idol.MEMCNP,
        memcnp=dict(training=dict(assigner=dict(topk=1))))),
                    lambda rank: tiny_sipmask.clip(seed=rank)),
    'seqformer': (tiny_seqformer.tiny_model,
                  lambda rank: tiny_seqformer.clip(
                      [o[rank:] for o in tiny_seqformer.OBJECTS], seed=rank)),
    'instanceformer': (tiny_former.tiny_model,
                       lambda rank: tiny_former.clip(
                           *[tiny_former.OBJECTS[rank:]] * 2, seed=rank)),
    'minvis': (tiny_minvis.tiny_model,
               lambda rank: tiny_sipmask.clip(seed=rank)),
    'ctvis': (tiny_ctvis.tiny_model,
              lambda rank: tiny_sipmask.clip(seed=rank)),
    'dvis-daq': (tiny_dvis_daq.tiny_model,
                 lambda rank: tiny_sipmask.clip(seed=rank)),
    'o2vis': (tiny_o2vis.tiny_model,
              lambda rank: tiny_sipmask.clip(seed=rank)),
    'dvis-daq-memcnp': (lambda: in_use(tiny_dvis_daq.tiny_memcnp()),
                        lambda rank: tiny_sipmask.clip(seed=rank)),
    'mask2former-vis': (tiny_mask2former_vis.tiny_model,
                        lambda rank: tiny_sipmask.clip(seed=rank)),
    'ifr': (tiny_ifr.tiny_model, lambda rank: tiny_seqformer.clip(
        [o[rank:] for o in tiny_seqformer.OBJECTS], seed=rank)),
}
#: Compare the objects of a device with each other, and not with those of
#: other devices. Where one process has the clips of both ranks, these take
#: the clips apart.
CONTRASTS = {
    'sipmask-memcnp': lambda model: model.bbox_head.loss_track,
    'idol-memcnp': lambda model: model.memcnp_training.contrast,
    'dvis-daq-memcnp': lambda model: model.memcnp_training.contrast,
    'instanceformer': lambda model: model.contrast,
}


def same_draws(*shape, **options):
    """Stands for torch.rand: the same for each row of the batch."""
    first, *rest = shape if isinstance(shape[0], int) else shape[0]
    row = RAND(rest, generator=torch.Generator().manual_seed(0))
    return row.expand(first, *rest).clone()


def clip_by_clip(contrast, by_clip):
    """Let a contrast see one clip after the other, as two ranks do.

    Args:
        contrast: the loss.
        by_clip: whether the ids of a clip's two objects follow each other;
            else an id counts through the clips of a batch.
    """
    forward = contrast.forward

    def of_ids(vectors, ids, ref_vectors, ref_ids):
        for clip in range(2):
            own, ref = ((x // 2 if by_clip else x % 2) == clip
                        for x in (ids, ref_ids))
            yield forward(vectors[own], ids[own], ref_vectors[ref],
                          ref_ids[ref])

    def of_rows(tokens, objects):
        for clip in range(2):
            yield forward(tokens[clip:clip + 1], objects[clip:clip + 1])

    def mean(*args):
        parts = of_ids if len(args) == 4 else of_rows
        return torch.stack(list(parts(*args))).mean()

    contrast.forward = mean


def step(name, ranks, parallel=False):
    """Losses and gradients of a step, and what the model holds after it."""
    build, clip = SYSTEMS[name]
    model = build()
    if len(ranks) > 1 and name in CONTRASTS:
        clip_by_clip(CONTRASTS[name](model), name.startswith('dvis-daq'))
    trained = DistributedDataParallel(
        model, find_unused_parameters=UNUSED) if parallel else model
    clips = batch(model, *map(clip, ranks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, 'rand', same_draws)
        losses = trained(*clips, mode='loss')
    losses = {k: v for k, v in losses.items() if 'loss' in k}
    sum(losses.values()).backward()
    return dict(
        losses={k: v.detach() for k, v in losses.items()},
        gradients={k: p.grad for k, p in model.named_parameters()
                   if p.grad is not None},
        state={k: v.detach() for k, v in model.state_dict().items()})


def steps(rank):
    return {name: step(name, [rank], parallel=True) for name in SYSTEMS}


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return on_two_ranks(steps, tmp_path_factory.mktemp('ranks'))


@pytest.mark.parametrize('name', SYSTEMS)
def test_two_ranks_are_one_process(name, ranks):
    one, two = (found[name] for found in ranks)
    both = step(name, [0, 1])
    for key, value in both['losses'].items():
        assert value != 0, key  # else nothing is compared
        mean = (one['losses'][key] + two['losses'][key]) / 2
        torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-6, msg=key)
    # DDP gives zeros to what no rank used.
    gradients = both['gradients']
    used = {k for k, v in gradients.items() if v.abs().sum() > 0}
    assert used == {k for k, v in one['gradients'].items()
                    if v.abs().sum() > 0}
    # Rounding, as a share of the largest: a bias before a softmax has no
    # gradient but this.
    atol = 1e-6 * max(v.abs().max().item() for v in gradients.values())
    for key in gradients:
        torch.testing.assert_close(
            one['gradients'][key], gradients[key], rtol=1e-4, atol=atol,
            msg=key)
        assert torch.equal(one['gradients'][key], two['gradients'][key]), key
    assert all(torch.equal(v, two['state'][k])
               for k, v in one['state'].items())
    for key, value in both['state'].items():
        torch.testing.assert_close(one['state'][key], value, msg=key)


@pytest.mark.parametrize('name', [n for n in SYSTEMS if 'memcnp' in n])
def test_the_memory_moved(name, ranks):
    before = SYSTEMS[name][0]().state_dict()
    key, = (k for k in before if k.endswith('bank.items'))
    alone = step(name, [0])['state'][key]
    after = ranks[0][name]['state'][key]
    assert not torch.equal(after, before[key])
    assert not torch.allclose(after, alone)  # the other rank's clip counts
