"""Figures of a model on a GPU are those of the model on the CPU."""
import numpy as np
import pytest

from mmvis_memcnp.probes import memcnp_probe
from tests.fakes.colour_blobs import CLASSES
from tests.test_apis.test_probes import FRAMES, inferencer, truth


@pytest.mark.parametrize('family', ['SipMask', 'IDOL', 'SeqFormer'])
def test_figures(both, family):
    found = []
    for device in both:
        made = inferencer(family)
        made.device = device
        made.model.to(device)
        probe = memcnp_probe(made)
        got = probe.retrieve(FRAMES[0], probe.default_stage,
                             np.array([20., 15.]), 3)
        selected = {} if family == 'SeqFormer' else probe.select(
            FRAMES[1], truth(), CLASSES, probe.selections[:1])
        found.append((
            (got.point, got.scores, got.boxes),
            probe.uncertainty(FRAMES[:1], height=40),
            [x.positive for levels in selected.values() for x in levels]))
    (one, picture, chosen), (two, same, rows) = found
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-3)
    assert picture.std() > 1
    assert np.abs(picture.astype(int) - same.astype(int)).mean() < 1
    for a, b in zip(chosen, rows, strict=True):
        assert (a != b).mean() < .02
