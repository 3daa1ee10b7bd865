"""The losses of every system, and their gradients, in bfloat16."""
import pytest
import torch

from tests.fakes.systems import SYSTEMS, clip_of
from tests.fakes.tiny_sipmask import batch


def step(name, half):
    """Losses of a fresh model, and all gradients in a row."""
    model = SYSTEMS[name]().train()
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half):
        losses = model(*batch(model, clip_of(name)), mode='loss')
    losses = {k: v for k, v in losses.items() if 'loss' in k}
    sum(losses.values()).backward()
    return losses, torch.cat([p.grad.flatten() for p in model.parameters()
                              if p.grad is not None])


@pytest.mark.parametrize('name', SYSTEMS)
def test_losses_are_those_of_single_precision(name):
    exact, gradient = step(name, half=False)
    rough, other = step(name, half=True)
    assert {v.dtype for v in rough.values()} == {torch.float32}
    for key, value in exact.items():
        assert value != 0, key  # else nothing is compared
        # A number of bfloat16 has 8 bits, a logit some roundings. Of rows
        # that are alike, 1 - cosine is half the square of their distance, .06
        # here, of which a rounding of the rows, .004, is a large part: .05 to
        # .07 of it with three models.
        rel = .1 if key == 'loss_similarity' else .03
        assert rough[key].item() == pytest.approx(value.item(), rel=rel), key
    assert other.isfinite().all()
    assert torch.cosine_similarity(gradient, other, dim=0) > .99
    assert not torch.equal(gradient, other)  # it was another precision
