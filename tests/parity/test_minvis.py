"""MinVIS as a whole gives what the official code makes of given frames.

The frames' queries, logits and masks, the order of the queries and the mean
logits are those of an official run; what the official code makes of these,
``inference_video``, is written out here.
"""
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmvis_memcnp.results import decode_masks
from tests.fakes.tiny_minvis import GivenFrames, tiny_model
from tests.parity.fixture import Fixture

FOLDER = Path(__file__).resolve().parents[1] / 'data/parity/o2vis_trackless'
PADDED, IMAGE, ORIGINAL = (24, 40), (22, 37), (50, 61)
TRACKS = 10


@pytest.fixture(scope='module')
def official():
    """Inputs and outputs, as tensors."""
    fixture = Fixture(FOLDER)
    given = fixture.arrays('trackless')
    with np.load(FOLDER / 'outputs.npz') as stored:
        out = {k: stored[f'trackless/none_hm/{k}']
               for k in ('indices', 'video_logits')}
    return {k: torch.from_numpy(np.asarray(v))
            for k, v in (given | out).items()}


def follow(official, chunks):
    """A whole video; its frames come in chunks."""
    model = tiny_model().eval()
    model.segmenter = GivenFrames(
        official['embeds'], official['logits'],
        official['segmenter_masks'].transpose(0, 1))
    session = model.session()
    for count in chunks:
        meta = dict(img_shape=IMAGE, ori_shape=ORIGINAL)
        session.step(torch.zeros(count, 3, *PADDED), [meta] * count)
    return session


def official_pairs(official):
    """Scores, identities and labels of the best pairs, best first."""
    scores = official['video_logits'].softmax(-1)[:, :-1]
    best, index = scores.flatten().topk(TRACKS)
    return best, index // scores.shape[1], index % scores.shape[1]


def official_masks(official):
    """(N, T, H, W) bool, of the identities in the original frames."""
    ordered = torch.stack([
        official['segmenter_masks'][order, t]
        for t, order in enumerate(official['indices'])], 1)
    full = F.interpolate(ordered, size=PADDED, mode='bilinear',
                         align_corners=False)[..., :IMAGE[0], :IMAGE[1]]
    return F.interpolate(full, size=ORIGINAL, mode='bilinear',
                         align_corners=False) > 0


@pytest.mark.parametrize('chunks', [[5], [1, 1, 1, 1, 1], [2, 3]])
def test_tracks(official, chunks):
    session = follow(official, chunks)
    ids, means = session.ranking.means()
    assert ids == list(range(20))
    torch.testing.assert_close(
        means, official['video_logits'], rtol=1e-5, atol=1e-5)
    tracks = session.finish().tracks
    scores, rows, labels = official_pairs(official)
    assert [t.id for t in tracks] == rows.tolist()
    assert [t.label for t in tracks] == labels.tolist()
    assert [t.score for t in tracks] == pytest.approx(
        scores.tolist(), rel=1e-5)
    expected = official_masks(official)
    for track in tracks:
        for found, mask in zip(
                track.segmentations, expected[track.id], strict=True):
            assert (found is None) == (not mask.any())
            if found is not None:
                assert (decode_masks([found], ORIGINAL)[0] ==
                        mask.numpy()).all()


def test_the_order_matters(official):
    """Frames are not in the order of the identities, and masks differ."""
    rest = official['indices'][1:]
    assert (rest != torch.arange(20)).float().mean() > .5
    masks = official_masks(official).flatten(2).float()
    assert masks.mean(2).std() > 0.01
