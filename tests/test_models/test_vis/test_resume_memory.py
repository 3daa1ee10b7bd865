"""A memory that forward passes change goes on exactly after a checkpoint."""
import pytest
import torch

from mmvis_memcnp.compat.checkpoint import load_checkpoint_file
from tests.fakes import tiny_idol, tiny_sipmask
from tests.fakes.tiny_sipmask import KEY, batch

STEPS, STOP = 5, 2


def cnp(**bank):
    """SipMask with the fixed entries of a conventional CNP."""
    return tiny_sipmask.tiny_model(memcnp=dict(
        type='CNP', feat_dims=16, hidden_dims=16, **bank))


def clip(step):
    """Of one object, then two, at another place every time."""
    return tiny_sipmask.clip(KEY[:1 + step % 2], seed=step)


# Entries of the reference set: of 3, all are there when the run stops; of
# 300, some come after that; others are taken anew until the tenth write, of
# four a step.
SYSTEMS = {
    'a parameter': (lambda: tiny_sipmask.tiny_model(memcnp=dict(
        type='MemCNP', num_items=8, learnable=True)), clip),
    'a buffer': (lambda: tiny_idol.tiny_model(
        file=tiny_idol.MEMCNP, memcnp=dict(rate=.5)), clip),
    'a full reference set': (lambda: cnp(num_items=3, settle=0), clip),
    'a reference set to fill': (lambda: cnp(num_items=300, settle=0), clip),
    'a reference set to settle': (lambda: cnp(num_items=3, settle=10), clip),
}


def begin(build):
    model = build()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


def train(model, optimiser, clip, steps):
    """Losses of some steps, and the memory after each."""
    seen = []
    for step in steps:
        torch.manual_seed(step)  # as the loops do: IDOL draws
        losses = model(*batch(model, clip(step)), mode='loss')
        loss = sum(v for k, v in losses.items() if 'loss' in k)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append((loss.item(), memory(model)))
    return seen


def memory(model):
    """Copies of what is stored, by name."""
    names = ('items', 'usage', 'entries', 'filled', 'writes')
    return {k: v.detach().clone() for k, v in model.state_dict().items()
            if k.rpartition('bank.')[2] in names}


@pytest.fixture(scope='module', params=SYSTEMS)
def run(request, tmp_path_factory):
    """Name, checkpoint in mid-run, and what came after it."""
    build, clip = SYSTEMS[request.param]
    model, optimiser = begin(build)
    train(model, optimiser, clip, range(STOP))
    path = tmp_path_factory.mktemp('run') / 'stopped.pth'
    torch.save(dict(state_dict=model.state_dict(),
                    optimizer=optimiser.state_dict()), path)
    return request.param, path, train(
        model, optimiser, clip, range(STOP, STEPS))


def test_the_memory_goes_on_exactly(run):
    name, path, expected = run
    build, clip = SYSTEMS[name]
    model, optimiser = begin(build)
    saved = load_checkpoint_file(path)
    model.load_state_dict(saved['state_dict'])
    optimiser.load_state_dict(saved['optimizer'])
    before = memory(model)
    found = train(model, optimiser, clip, range(STOP, STEPS))
    assert [loss for loss, _ in found] == [loss for loss, _ in expected]
    for (_, one), (_, two) in zip(expected, found, strict=True):
        assert one and one.keys() == two.keys()
        assert all(torch.equal(v, two[k]) for k, v in one.items())
    # It is still written, unless it is full.
    changed = any(not torch.equal(v, found[-1][1][k])
                  for k, v in before.items() if not k.endswith('writes'))
    assert changed == (name != 'a full reference set')


def test_a_forgotten_memory_would_be_seen(run):
    name, path, expected = run
    build, clip = SYSTEMS[name]
    model, optimiser = begin(build)
    saved = load_checkpoint_file(path)
    model.load_state_dict({**saved['state_dict'], **memory(model)})
    optimiser.load_state_dict(saved['optimizer'])
    found = train(model, optimiser, clip, range(STOP, STEPS))
    assert [loss for loss, _ in found] != [loss for loss, _ in expected]
