"""The programming interface, on a system whose answers are known."""
import inspect
import itertools
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from mmvis_memcnp.apis import SourceError, VISInferencer, choose_device
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.results import FileSink, decode_masks
from tests.fakes.colour_blobs import CLASSES, clip, config


def save(path, inferencer, classes=CLASSES, **changes):
    weights = {**inferencer.model.state_dict(), **changes}
    torch.save(dict(state_dict={k: v for k, v in weights.items()
                                if v is not None},
                    meta=dict(dataset_meta=dict(classes=classes))), path)
    return str(path)


@pytest.fixture
def blobs():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return VISInferencer(config(), device='cpu')


def test_a_video(blobs):
    video = blobs(clip())
    assert video.num_frames == 6
    assert blobs.classes == CLASSES
    red, green = video.tracks
    assert (red.label, green.label) == (0, 1)
    assert (red.score, green.score) == pytest.approx((.9, .8))
    assert (red.num_detections, green.num_detections) == (6, 3)
    assert [s is None for s in green.segmentations] == [
        True, True, False, False, False, True
    ]
    masks = decode_masks(red.segmentations, (48, 64))
    np.testing.assert_array_equal(masks, clip()[..., 2] == 255)


def test_stream_and_session_equal_the_video(blobs):
    frames = clip()
    wanted = blobs(frames).to_ytvis(1, [1, 2, 3])
    session = blobs.session()
    for (frame, result), original in zip(blobs.stream(frames), frames,
                                         strict=True):
        np.testing.assert_array_equal(frame, original)
        mine, = session.step(original)
        assert mine.masks == result.masks
        assert torch.equal(mine.instances_id, result.instances_id)
    assert session.finish().to_ytvis(1, [1, 2, 3]) == wanted
    chunks = blobs.session()
    results = chunks.step(frames[:4]) + chunks.step(list(frames[4:]))
    assert [r.frame_id for r in results] == list(range(6))
    assert chunks.finish().to_ytvis(1, [1, 2, 3]) == wanted
    on_disk = blobs(frames, sink=FileSink())
    assert on_disk.to_ytvis(1, [1, 2, 3]) == wanted


def test_two_sessions_side_by_side(blobs):
    first, second = clip(), clip()[::-1].copy()
    wanted = [blobs(c).to_ytvis(1, [1, 2, 3]) for c in (first, second)]
    one, other = blobs.session(), blobs.session()
    for a, b in zip(first, second, strict=True):
        one.step(a)
        other.step(b)
    assert one.finish().to_ytvis(1, [1, 2, 3]) == wanted[0]
    assert other.finish().to_ytvis(1, [1, 2, 3]) == wanted[1]


def test_channel_order(blobs):
    rgb = clip()[..., ::-1]
    session = blobs.session(channel_order='rgb')
    session.step(rgb)
    assert session.finish().to_ytvis(1, [1, 2, 3]) == blobs(
        clip()).to_ytvis(1, [1, 2, 3])
    with pytest.raises(ValueError, match="'bgr' or 'rgb'"):
        blobs.session(channel_order='gbr')


def test_input_is_that_of_the_test_pipeline(tmp_path):
    """Same network input as the data set's pipeline and preprocessor."""
    cfg = config(scale=(100, 70))
    frame = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), frame)
    with pytest.warns(UserWarning, match='weights are random'):
        inferencer = VISInferencer(cfg)
    packed = Compose(cfg.test_dataloader.dataset.pipeline)(
        dict(img_path=[str(path)], img_id=[0], height=[90], width=[120],
             video_id=[1], frame_id=[0], video_length=[1],
             ori_video_length=[1], instances=[[]], key_frame_flags=[True]))
    wanted = inferencer.model.data_preprocessor(
        dict(inputs=[packed['inputs']],
             data_samples=[packed['data_samples']]))
    got, metas = inferencer.prepare([frame])
    assert torch.equal(got, wanted['inputs'][0])
    assert got.shape == (1, 3, 96, 96)  # 70x93 of 90x120, padded to 32
    meta = wanted['data_samples'][0].video_data_samples[0].metainfo
    for key in ('img_shape', 'ori_shape', 'scale_factor'):
        assert tuple(metas[0][key]) == tuple(meta[key]), key


def test_results_are_in_pixels_of_the_original(tmp_path):
    """Twice the size in, network input the same: boxes twice as large."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = VISInferencer(config(scale=(64, 48)))
    large = clip(1, 96, 128)
    large[:] = 90
    large[0, 16:48, 8:32] = (0, 0, 255)
    result = inferencer.session().step(large[0])[0]
    assert result.bboxes.tolist() == [[8, 16, 32, 48]]
    assert decode_masks(result.masks, (96, 128)).shape == (1, 96, 128)


@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_a_saved_session_goes_on(blobs, tmp_path, order):
    frames = clip() if order == 'bgr' else clip()[..., ::-1]
    wanted = blobs(clip()).to_ytvis(1, [1, 2, 3])
    session = blobs.session(channel_order=order)
    session.step(frames[:3])
    session.save(tmp_path / 'video.session')
    session.step(frames[3:])
    other = blobs.restore(tmp_path / 'video.session', FileSink())
    assert [r.frame_id for r in other.step(frames[3:])] == [3, 4, 5]
    assert session.finish().to_ytvis(1, [1, 2, 3]) == wanted
    assert other.finish().to_ytvis(1, [1, 2, 3]) == wanted
    # The size of the video is known, too.
    again = blobs.restore(tmp_path / 'video.session')
    with pytest.raises(SourceError, match='the video is 64x48'):
        again.step(np.zeros((32, 32, 3), np.uint8))


def test_a_session_of_other_options_is_refused(blobs, tmp_path):
    path = tmp_path / 'video.session'
    blobs.session().save(path)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        other = VISInferencer(config(), device='cpu', cfg_options={
            'model.with_sigmas': False})
    other.model.load_state_dict(blobs.model.state_dict())
    with pytest.raises(UserError, match='video.session was saved with other '
                       'options .* same config and --cfg-options'):
        other.restore(path)


def test_a_session_of_another_way_to_run_is_refused(tmp_path):
    """Folded norms are other weights, though the checkpoint is the same."""
    path, weights = tmp_path / 'video.session', tmp_path / 'a.pth'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        plain = VISInferencer(config(), device='cpu')
    save(weights, plain)
    levels = (None, 'exact', 'mixed')
    made = {level: VISInferencer(config(), weights, 'cpu', optimize=level)
            for level in levels}
    for saved, restored in itertools.product(levels, levels):
        made[saved].session().save(path, overwrite=True)
        if saved == restored:
            made[restored].restore(path)
            continue
        with pytest.raises(UserError, match=(
                f"saved with optimize={saved!r}, backend='torch', but this "
                f"model runs with optimize={restored!r}, backend='torch': "
                'restore it with those')):
            made[restored].restore(path)
    made['exact'].backend = 'onnx'
    with pytest.raises(UserError, match="='mixed', backend='torch', but .*"
                       "='exact', backend='onnx'"):
        made['exact'].restore(path)
    # Other weights are still told as such.
    made[None].session().save(path, overwrite=True)
    with torch.no_grad():
        made[None].model.backbone.weight += 1
    with pytest.raises(UserError, match='other weights of ColourBlobVIS'):
        made[None].restore(path)


def test_a_name_takes_what_the_class_takes(monkeypatch):
    """All arguments, in the same order, with the same defaults."""
    options = dict(inspect.signature(VISInferencer).parameters)
    named = dict(inspect.signature(VISInferencer.from_name).parameters)
    del options['config'], named['name']
    assert [(p.name, p.default) for p in options.values()] == [
        (p.name, p.default) for p in named.values()]
    given = []
    monkeypatch.setattr(VISInferencer, '__init__',
                        lambda self, *args: given.append(args))
    VISInferencer.from_name('idol-memcnp_r50_ovis', 'n.onnx', 'cpu', {'a': 1},
                            'exact', 'onnx', True)
    assert given[0][1:] == ('n.onnx', 'cpu', {'a': 1}, 'exact', 'onnx', True)


def test_frames_of_one_session_have_one_size(blobs):
    session = blobs.session()
    session.step(clip()[0])
    with pytest.raises(SourceError, match='Frame 1 is 32x32 .* 64x48'):
        session.step(np.zeros((32, 32, 3), np.uint8))
    session.step(clip()[1])  # the session is as it was
    assert session.finish().num_frames == 2
    assert session.step([]) == []


@pytest.mark.parametrize('frame, got', [
    (None, 'a NoneType'),  # cv2.imread of a missing file
    (np.zeros((64, 48), np.uint8), r'uint8 of shape \(64, 48\)'),
    ('a.png', 'a str'),
    ([None], 'a NoneType'),
])
def test_what_is_no_frame_is_named_as_it_was_given(blobs, frame, got):
    with pytest.raises(SourceError, match=f'Frame 0 must be .* got {got}'):
        blobs.session().step(frame)


def test_checkpoint(tmp_path, blobs):
    path = save(tmp_path / 'a.pth', blobs)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        loaded = VISInferencer(config(), path)
    for name, value in blobs.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value)


def test_checkpoint_of_another_model(tmp_path, blobs):
    path = save(tmp_path / 'a.pth', blobs, **{'neck.weight': torch.ones(1),
                                              'backbone.bias': None})
    with pytest.raises(ValueError, match='1 weights are missing, 1 are unkno'):
        VISInferencer(config(), path)


def test_checkpoint_with_other_classes(tmp_path, blobs):
    path = save(tmp_path / 'a.pth', blobs, ('a', 'b', 'c'))
    with pytest.warns(UserWarning, match='names other classes'):
        assert VISInferencer(config(), path).classes == ('a', 'b', 'c')


def test_the_checkpoint_says_the_number_of_classes(tmp_path, blobs):
    """The config of a training on other data, with its loaders as they were.
    """
    path = save(tmp_path / 'b.pth', blobs, ('a', 'b'),
                **{'bbox_head.weight': torch.ones(2, 4),
                   'bbox_head.bias': torch.ones(2)})
    cfg = config()
    cfg.val_dataloader = dict(dataset=dict(
        type='VISDataset', metainfo=dict(classes=('z', ))))
    with pytest.warns(UserWarning, match='names other classes'):
        inferencer = VISInferencer(cfg, path)
    assert inferencer.classes == ('a', 'b')
    assert inferencer.model.bbox_head.weight.shape == (2, 4)
    inferencer.session().step(clip()[0])
    assert dict(cfg.test_dataloader.dataset.metainfo) == dict(classes=CLASSES)


@pytest.mark.parametrize('name, message', [
    ('foo', "no device called 'foo'"),
    ('meta', 'cannot use the device meta here'),
    ('cuda:99', 'The device is cuda:99'),
])
def test_devices_that_are_not_there(name, message):
    with pytest.raises(ValueError, match=message):
        VISInferencer(config(), device=name)
    assert choose_device('cpu').type == 'cpu'
    assert choose_device('auto').type in ('cpu', 'cuda')


def test_config_options(tmp_path):
    options = {'model.with_sigmas': False}
    config().dump(str(tmp_path / 'a.py'))
    for cfg in (config(), tmp_path / 'a.py'):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            inferencer = VISInferencer(cfg, None, 'cpu', options)
        result, = inferencer.session().step(clip()[0])
        assert 'box_sigmas' not in result
    with pytest.raises(UserError, match='a.py cannot be read'):
        VISInferencer(tmp_path / 'a.py', cfg_options={'model.type.a': 1})


def test_an_exported_network_is_not_optimized_again():
    with pytest.raises(ValueError, match='leave optimize or the backend out'):
        VISInferencer(config(), 'a.onnx', optimize='exact', backend='onnx')
    with pytest.raises(ValueError, match='leave compile or the backend out'):
        VISInferencer(config(), 'a.onnx', backend='onnx', compile=True)


def whole_video_model():
    """A system that takes at most two frames of the clip as a whole."""
    from tests.fakes.tiny_seqformer import BrightClips  # noqa: F401
    cfg = config()
    cfg.custom_imports.imports.append('tests.fakes.tiny_seqformer')
    cfg.model = dict(
        type='BrightClips', data_preprocessor=cfg.model.data_preprocessor,
        max_bytes=2 * 12 * 64 * 64)
    return cfg


def test_a_video_too_long_as_a_whole_is_refused_at_once():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = VISInferencer(whole_video_model(), device='cpu')
    frames = clip()
    ways = (lambda: inferencer(frames),
            lambda: next(inferencer.stream(frames)),
            lambda: inferencer.session(length=6).step(frames[0]))
    for way in ways:
        with pytest.raises(ValueError, match='6 frames of 64x64 .* windows'):
            way()
        assert inferencer.model.encoded == []
    assert inferencer(frames[:2]).num_frames == 2
    # A source without a length is refused when it is too long.
    with pytest.raises(ValueError, match='3 frames of 64x64'):
        inferencer(iter(frames))


@pytest.mark.parametrize('cfg, message', [
    ('nowhere.py', 'no config at nowhere.py'),
])
def test_missing_files(cfg, message):
    with pytest.raises(FileNotFoundError, match=message):
        VISInferencer(cfg)
    with pytest.raises(FileNotFoundError, match='no checkpoint at nowhere.pt'):
        VISInferencer(config(), 'nowhere.pth')


def test_results_may_come_later_than_frames():
    """A system of windows, through every way in."""
    from tests.fakes.tiny_seqformer import BrightClips  # noqa: F401
    cfg = config()
    cfg.custom_imports.imports.append('tests.fakes.tiny_seqformer')
    cfg.model = dict(
        type='BrightClips', data_preprocessor=cfg.model.data_preprocessor,
        window=dict(type='ClipMatching', length=3),
        ranking=dict(type='LatestClass', score_thr=.01))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        inferencer = VISInferencer(cfg, device='cpu')
    frames = clip()
    wanted = inferencer(frames).to_ytvis(1, [1, 2, 3])
    assert len(wanted) > 0
    for (frame, result), (t, original) in zip(
            inferencer.stream(frames), enumerate(frames), strict=True):
        np.testing.assert_array_equal(frame, original)
        assert result.frame_id == t
    session = inferencer.session()
    assert session.step(frames[:2]) == []
    assert [r.frame_id for r in session.step(frames[2:])] == [0, 1, 2, 3]
    assert [r.frame_id for r in session.flush()] == [4, 5]
    assert session.finish().to_ytvis(1, [1, 2, 3]) == wanted


def test_frames_and_results_stay_together_frame_by_frame(blobs):
    frames = clip()
    session = blobs.session()
    count = 0
    for t, (frame, result) in enumerate(session.follow(iter(frames))):
        np.testing.assert_array_equal(frame, frames[t])
        assert result.frame_id == t
        count += 1
    assert count == 6 and session.flush() == []


def test_a_model_by_its_name():
    name = 'sipmask-memcnp_r18_movingshapes'
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)  # no random weights
        found = VISInferencer.from_name(name, device='cpu')
    root = Path(__file__).parents[2]
    same = VISInferencer(root / f'configs/sipmask/{name}.py',
                         root / f'demo/weights/{name}.pth', 'cpu')
    assert found.classes == same.classes
    for key, value in same.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[key], value), key
    # Nothing is compiled before the first frame.
    compiled = VISInferencer.from_name(name, device='cpu', compile=True)
    for part in ('backbone', 'neck'):
        assert getattr(compiled.model, part)._compiled_call_impl
        assert not getattr(found.model, part)._compiled_call_impl
    with pytest.raises(UserError, match=f'the nearest are {name}'):
        VISInferencer.from_name('sipmask-memcnp_r18_movingshape')
