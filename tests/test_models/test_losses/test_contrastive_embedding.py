"""Contrast of embeddings against its formula, object by object."""
import math

import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.models.losses import ContrastiveEmbeddingLoss


def data(seed=0, batch=2, objects=3, queries=20, dims=4):
    g = torch.Generator().manual_seed(seed)
    key = torch.randn(batch, objects, dims, generator=g)
    ref = torch.randn(batch, queries, dims, generator=g)
    lots = torch.rand(batch, objects, queries, generator=g)
    return key, ref, lots < 0.15, lots > 0.3


def test_equals_the_formula():
    key, ref, positive, negative = data()
    valid = torch.tensor([[True, False, True], [False, True, True]])
    loss = ContrastiveEmbeddingLoss(2., 3., negative_ratio=2)
    torch.manual_seed(3)
    out = loss(key, ref, positive, negative, valid)
    torch.manual_seed(3)
    drawn = loss.draw(negative, positive)
    contrast, aux = [], []
    for b, g in valid.nonzero().tolist():
        dots = [float(key[b, g] @ r) for r in ref[b]]
        near, far, chosen = (
            x[b, g].nonzero()[:, 0].tolist()
            for x in (positive, negative, drawn))
        assert len(chosen) == min(len(far), 2 * max(len(near), 1))
        assert set(chosen) <= set(far)
        contrast.append(math.log(1 + sum(
            math.exp(dots[n] - dots[p]) for p in near for n in far)))
        cosine = F.cosine_similarity(ref[b], key[b, g:g + 1])
        squares = [float(cosine[p] - 1)**2 for p in near]
        squares += [float(cosine[n])**2 for n in chosen]
        aux.append(sum(squares) / len(squares))
    assert out['loss_embed'] == pytest.approx(2 * sum(contrast) / 4, rel=1e-4)
    assert out['loss_embed_aux'] == pytest.approx(3 * sum(aux) / 4, rel=1e-4)


def test_draws_follow_torch_seed_and_spread():
    _, _, positive, negative = data(queries=200)
    loss = ContrastiveEmbeddingLoss(negative_ratio=1)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(loss.draw(negative, positive))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_ten_negatives_without_any_positive():
    negative = torch.ones(1, 1, 50, dtype=torch.bool)
    assert ContrastiveEmbeddingLoss().draw(negative, ~negative).sum() == 10
    few = negative & (torch.arange(50) < 4)
    assert torch.equal(ContrastiveEmbeddingLoss().draw(few, ~negative), few)


@pytest.mark.parametrize('case', ['no object', 'no negative', 'no positive'])
def test_gradients_are_finite(case):
    key, ref, positive, negative = data()
    valid = torch.ones(2, 3, dtype=torch.bool)
    if case == 'no object':
        valid = ~valid
    elif case == 'no negative':
        negative = torch.zeros_like(negative)
    else:
        positive = torch.zeros_like(positive)
    key, ref = key.requires_grad_(), ref.requires_grad_()
    out = ContrastiveEmbeddingLoss()(key, ref, positive, negative, valid)
    sum(out.values()).backward()
    assert key.grad.isfinite().all() and ref.grad.isfinite().all()
    if case == 'no object':
        assert out['loss_embed'] == out['loss_embed_aux'] == 0
    else:
        assert out['loss_embed'] == 0 and out['loss_embed_aux'] > 0


def test_large_products_do_not_overflow():
    key, ref, positive, negative = data()
    out = ContrastiveEmbeddingLoss()(
        key * 100, ref * 100, positive, negative,
        torch.ones(2, 3, dtype=torch.bool))
    assert out['loss_embed'].isfinite()
