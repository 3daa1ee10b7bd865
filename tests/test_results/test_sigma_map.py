"""Standard deviations that are mapped, from the frame to the outputs."""
import json
import math

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.apis.outputs import VideoOutputs
from mmvis_memcnp.results import SigmaMap
from mmvis_memcnp.results.sigma_map import adopt_sigma_map
from tests.fakes.colour_blobs import clip, config

#: 0.1 -> 0.02, 0.5 -> 0.04 of the frame.
LINE = dict(raw=[.1, .5], std=[.02, .04])


@pytest.mark.parametrize('settings, sigmas, expected', [
    (LINE, [.1, .3, .5, .4], [.02, .03, .04, .035]),
    (LINE, [.05, .9, .1, math.nan], [.02, .04, .02, math.nan]),  # outside
    # of a box of 16 x 6 pixels in a frame of 32 x 24: half, a quarter
    (LINE | dict(std_unit='box'), [.1] * 4, [.01, .005] * 2),
    (LINE | dict(raw_unit='box'), [.05, .025, .25, .125],
     [.02, .02, .04, .04]),
    (LINE | dict(sides=[1., 2., 1., .5]), [.1] * 4, [.02, .04, .02, .01]),
    (dict(raw=[.3], std=[.07]), [.1, .2, .3, .4], [.07] * 4),
])
def test_by_hand(settings, sigmas, expected):
    found = SigmaMap(**settings)
    boxes, size = np.array([[4., 2., 20., 8.]]), (24, 32)
    mapped = found(np.array([sigmas]), boxes, size)
    np.testing.assert_allclose(mapped, [expected], rtol=1e-12)
    # The same in pixels, and after a way through a config.
    frame = np.array([[32., 24., 32., 24.]])
    again = SigmaMap(**json.loads(json.dumps(found.settings())))
    np.testing.assert_allclose(
        again.pixels(np.array([sigmas]) * frame, frame,
                     np.array([[16., 6., 16., 6.]])),
        [expected] * frame, rtol=1e-12)


def test_it_keeps_the_order_and_takes_no_boxes():
    found = SigmaMap(**LINE)
    sigmas = np.sort(np.random.default_rng(0).random((50, 4)), 0)
    mapped = found(sigmas, np.ones((50, 4)), (10, 10))
    assert (np.diff(mapped, axis=0) >= 0).all()
    assert found(np.zeros((0, 4)), np.zeros((0, 4)), (10, 10)).shape == (0, 4)


@pytest.mark.parametrize('change, sentence', [
    (dict(raw=[]), 'as many std as raw'),
    (dict(raw=[.1, .2, .3]), 'as many std as raw'),
    (dict(std=[.1, math.nan]), 'finite'),
    (dict(raw=[.5, .1]), 'must ascend'),
    (dict(std=[.2, .1]), 'never descend'),
    (dict(std=[0., .1]), 'be positive'),
    (dict(std_unit='pixel'), "use frame or box"),
    (dict(sides=[1, 1, 1]), 'four positive'),
    (dict(dof=2.), 'above 2'),
    (dict(dof=math.inf), 'above 2'),
])
def test_what_is_no_map(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        SigmaMap(**LINE | change)


def test_the_config_comes_before_the_checkpoint():
    saved = dict(meta=dict(sigma_map=LINE))
    for model, expected in ((dict(), LINE), (dict(sigma_map=None), None)):
        cfg = Config(dict(model=dict(type='X', **model)))
        adopt_sigma_map(cfg, saved)
        assert cfg.model.sigma_map == expected
    cfg = Config(dict(model=dict(type='X')))
    adopt_sigma_map(cfg, dict(state_dict={}))
    adopt_sigma_map(cfg, dict(meta=None))
    assert 'sigma_map' not in cfg.model


def test_every_way_out_is_mapped(tmp_path):
    """A checkpoint with a map: session, store, json and plots agree."""
    plain = VISInferencer(config())
    torch.save(dict(state_dict=plain.model.state_dict(),
                    meta=dict(sigma_map=LINE | dict(dof=5.))),
               tmp_path / 'mapped.pth')
    mapped = VISInferencer(config(), tmp_path / 'mapped.pth')
    assert mapped.model.sigma_map.dof == 5
    expected = SigmaMap(**LINE)
    frames = clip()
    with VideoOutputs(tmp_path / 'out', 'clip', video=False) as outputs:
        session = mapped.session(outputs.sink)
        for (_, raw), (frame, result) in zip(
                plain.session().follow(frames), session.follow(frames),
                strict=True):
            assert result.sigmas_mapped and 'sigmas_mapped' not in raw
            np.testing.assert_allclose(result.box_sigmas, expected(
                raw.box_sigmas.numpy(), raw.bboxes.numpy(), (48, 64)),
                rtol=1e-6)
            # The order is the network's, whatever the size.
            assert torch.equal(result.uncertainties, raw.uncertainties)
            assert torch.allclose(raw.uncertainties,
                                  raw.box_sigmas.mean(1))
            outputs.add(frame, result)
        video = session.finish()
        made = outputs.publish(video)
        assert video.sigma_map is mapped.model.sigma_map
        assert next(iter(video.iter_frames())).sigmas_mapped
        records = list(video.tracks[0].records())
    entry = json.loads(made['results'].read_text())[0]
    assert len(records) == 6
    for box, std, record in zip(entry['bboxes'], entry['box_std'], records,
                                strict=True):
        assert box == pytest.approx(
            [*record.bbox[:2], record.bbox[2] - record.bbox[0],
             record.bbox[3] - record.bbox[1]], abs=.01)
        assert std == pytest.approx(
            np.array(record.sigmas) * [64, 48, 64, 48], abs=.001)
    # The plain model's json is what servers take, no more.
    with VideoOutputs(tmp_path / 'out', 'plain', video=False) as outputs:
        session = plain.session(outputs.sink)
        for frame, result in session.follow(frames):
            outputs.add(frame, result)
        made = outputs.publish(session.finish())
    assert set(json.loads(made['results'].read_text())[0]) == {
        'video_id', 'category_id', 'score', 'segmentations'}
