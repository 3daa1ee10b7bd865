"""Frames from a server on this machine: files, cameras, and what breaks."""
import base64
import http.server
import os
import threading
import time
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvis_memcnp.apis import SourceError, VISInferencer, open_source
from mmvis_memcnp.apis import streams as streams_module
from mmvis_memcnp.apis.streams import address_name, fit_frame, shown
from tests.fakes.colour_blobs import clip, config, write_video

FRAMES = 40


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('served')
    write_video(path / 'my clip.avi', clip(FRAMES), 'MJPG', fps=12)
    write_video(path / 'b.mp4', clip(6), 'mp4v', fps=12)
    pictures = [np.full((48, 64), 8 * t, np.uint8) for t in range(12)]
    first, *rest = map(Image.fromarray, pictures)
    first.save(path / 'c.gif', save_all=True, append_images=rest,
               duration=100)
    row = b''.join(cv2.imencode('.jpg', p)[1].tobytes() for p in pictures)
    (path / 'row.mjpeg').write_bytes(row)
    (path / 'фильм.png').write_bytes(cv2.imencode('.png', pictures[3])[1])
    (path / 'live.m3u8').write_text('#EXTM3U\n#EXT-X-TARGETDURATION:2\n')
    return path


class Handler(http.server.SimpleHTTPRequestHandler):
    """``/cut/F`` and ``/stall/F`` stop in the middle of file F, ``/slow/F``
    takes breaks, ``/private/F`` wants a password, ``/camera`` sends pictures
    one by one."""
    period = .02
    hold = threading.Event()

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        kind, _, rest = self.path[1:].partition('/')
        try:
            getattr(self, f'do_{kind}', super().do_GET)(*[rest][:bool(rest)])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has what it wanted

    def _begin(self, rest, share):
        self.path = f'/{rest}'
        data = open(self.translate_path(self.path), 'rb').read()
        self.send_response(200)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        half = round(len(data) * share)
        self.wfile.write(data[:half])
        self.wfile.flush()
        return data[half:]

    def do_cut(self, rest):
        self._begin(rest, .5)
        self.close_connection = True

    def do_stall(self, rest):
        self._begin(rest, .5)
        self.hold.wait(20)

    def do_slow(self, rest):
        left = self._begin(rest, .3)
        for at in range(0, len(left), 8000):
            time.sleep(.05)
            self.wfile.write(left[at:at + 8000])

    def do_private(self, rest):
        code = base64.b64encode(b'me:p@ss').decode()
        if self.headers.get('Authorization') == f'Basic {code}':
            self._begin(rest, 1.)
            return
        self.send_response(401)
        self.send_header('WWW-Authenticate', 'Basic realm="x"')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def do_camera(self):
        self.send_response(200)
        self.send_header('Content-Type',
                         'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        for t in range(30):
            grey = np.full((48, 64, 3), 8 * t, np.uint8)
            data = cv2.imencode('.jpg', grey)[1].tobytes()
            self.wfile.write(
                b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d'
                b'\r\n\r\n%s\r\n' % (len(data), data))
            time.sleep(self.period)


@pytest.fixture(scope='module')
def server(folder):
    httpd = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), lambda *a: Handler(*a, directory=str(folder)))
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{httpd.server_port}'
    Handler.hold.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def one_sentence(caught):
    found, = {str(w.message) for w in caught
              if w.category is UserWarning}
    assert '\n' not in found and found.endswith('.') and '. ' not in found
    return found


def test_a_file_on_a_server_is_a_file(server, folder):
    source = open_source(f'{server}/my%20clip.avi?token=secret#x')
    assert (source.name, source.length, source.fps, source.live) == (
        'my_clip', FRAMES, 12, False)
    here = np.stack(list(open_source(folder / 'my clip.avi')))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        np.testing.assert_array_equal(np.stack(list(source)), here)
        np.testing.assert_array_equal(np.stack(list(source)), here)  # anew
        assert len(list(open_source(f'{server}/b.mp4', max_frames=4))) == 4
    assert source.dropped == 0
    assert source.stored and not source.files
    assert not open_source(f'{server}/camera').stored


@pytest.mark.parametrize('path, length, fps, count', [
    ('c.gif', 12, 10, 12),  # says its length where it is read as a file
    ('row.mjpeg', None, 25, 12),  # pictures in a row say none anywhere
    ('фильм.png', None, 25, 1),  # a picture, its address not in ASCII
    ('private/c.gif', 12, 10, 12),
])
def test_a_file_that_does_not_say_its_length_loses_no_frame(
        server, path, length, fps, count):
    if path.startswith('private'):
        server = server.replace('//', '//me:p%40ss@')
    source = open_source(f'{server}/{path}')
    assert (source.length, source.fps, source.live) == (length, fps, False)
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for frame in source:
            seen += levels([frame])
            time.sleep(.01)  # longer than reading takes
    assert seen == (list(range(12)) if count == 12 else [3])
    assert len(list(source)) == count  # anew
    assert source.dropped == 0


def test_what_is_a_file_by_what_its_server_says(server):
    assert streams_module.is_file(f'{server}/c.gif')
    for path in ('camera', 'live.m3u8', 'none.gif', 'private/c.gif'):
        assert not streams_module.is_file(f'{server}/{path}')
    assert not streams_module.is_file('rtsp://127.0.0.1:9/a')


@pytest.mark.parametrize('kind', ['cut', 'stall'])
def test_what_came_before_a_break_is_the_result(server, monkeypatch, kind):
    monkeypatch.setattr(streams_module, 'TIMEOUT', .7)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter('ignore')
        inferencer = VISInferencer(config(), device='cpu')
    begun = time.monotonic()
    with pytest.warns(UserWarning) as caught:
        video = inferencer(f'{server}/{kind}/my%20clip.avi')
    assert time.monotonic() - begun < 15
    told = one_sentence(caught)
    assert (f'my%20clip.avi stopped after {video.num_frames} of {FRAMES} '
            'frames') in told
    assert 5 < video.num_frames < FRAMES - 5 and len(video.tracks) == 2


def test_a_slow_server_is_waited_for(server):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert len(list(open_source(
            f'{server}/slow/my%20clip.avi'))) == FRAMES


def test_a_server_that_sends_files_from_the_start_only(server, folder):
    """A file with its index at the end is fetched first."""
    noise = np.random.default_rng(0).integers(
        0, 255, (30, 240, 320, 3), dtype=np.uint8)
    write_video(folder / 'large.mp4', noise, 'mp4v', fps=12)
    data = (folder / 'large.mp4').read_bytes()
    assert data.rindex(b'moov') > 400000  # more than is read ahead
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        source = open_source(f'{server}/large.mp4')
        assert (source.name, source.length, source.live) == (
            'large', 30, False)
        here = np.stack(list(open_source(folder / 'large.mp4')))
        for _ in range(2):
            np.testing.assert_array_equal(np.stack(list(source)), here)


def test_a_file_that_is_not_fetched_whole(server):
    for path, told in (('cut/my%20clip.avi', r'\d+ of \d+ bytes'),
                       ('none.avi', '404'), ('private/b.mp4', '401')):
        with pytest.raises(SourceError, match=f'cannot be fetched .*{told}'):
            streams_module.fetch(f'{server}/{path}')


@pytest.mark.parametrize('path', ['none.mp4', 'cut/b.mp4'])
def test_what_cannot_be_read_at_all_gets_a_sentence(server, path):
    with pytest.raises(SourceError, match=f'{path} cannot be opened: check '
                       'the address'):
        open_source(f'{server}/{path}')


@pytest.mark.parametrize('scheme', ['http', 'rtsp', 'tcp'])
def test_nobody_answers(scheme):
    with pytest.raises(SourceError) as info:
        list(open_source(f'{scheme}://me:secret@127.0.0.1:9/a.mp4'))
    assert str(info.value).startswith(f'{scheme}://127.0.0.1:9/a.mp4 cannot '
                                      'be opened')


def levels(source):
    return [round(float(frame.mean()) / 8) for frame in source]


def test_every_frame_of_a_camera(server):
    source = open_source(f'{server}/camera', drop_frames=False)
    assert (source.name, source.length, source.fps, source.live) == (
        'camera', None, None, True)
    with pytest.warns(UserWarning, match='stopped: .* that of 30 frames'):
        assert levels(source) == list(range(30))
    assert source.dropped == 0


def test_slow_work_leaves_frames_of_a_camera_out(server):
    source = open_source(f'{server}/camera')
    seen = []
    with pytest.warns(UserWarning, match='stopped') as caught:
        for frame in source:
            seen += levels([frame])
            time.sleep(.1)
    assert f'that of {len(seen)} frames' in one_sentence(caught)
    assert seen == sorted(set(seen)) and seen[-1] == 29  # the newest
    assert 3 <= len(seen) < 20 and source.dropped == 30 - len(seen)


def test_reading_ends_with_the_loop(server):
    before = threading.active_count()
    handles = len(os.listdir('/proc/self/fd')) \
        if os.path.isdir('/proc/self/fd') else 0
    for _ in range(3):
        for number, _frame in enumerate(open_source(f'{server}/camera')):
            if number == 2:
                break
        assert len(list(open_source(f'{server}/camera', max_frames=2))) == 2
    deadline = time.monotonic() + 5
    names = ['camera']
    while names and time.monotonic() < deadline:
        names = [t.name for t in threading.enumerate() if t.name == 'camera']
        time.sleep(.02)
    assert not names
    assert threading.active_count() <= before + 7  # those of the server
    if handles:
        assert len(os.listdir('/proc/self/fd')) <= handles + 7


def test_a_camera_that_fails(monkeypatch):
    class Camera:
        number = 0

        def __init__(self, address, *args):
            assert address == 3

        def isOpened(self):
            return True

        def read(self):
            self.number += 1
            if self.number > 2:
                raise cv2.error('unplugged')
            return True, np.zeros((8, 8, 3), np.uint8)

        def release(self):
            """Nothing is held."""

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    frames = iter(open_source('webcam:3'))
    next(frames)
    with pytest.raises(SourceError, match='The camera failed: unplugged'):
        list(frames)


def test_a_camera_that_changes_its_size(monkeypatch):
    sizes = [(40, 60), (40, 60), (80, 120), (40, 30)]

    class Camera:

        def __init__(self, *args):
            self.left = iter(sizes)

        def isOpened(self):
            return True

        def read(self):
            size = next(self.left, None)
            return size is not None, size and np.full((*size, 3), 200,
                                                      np.uint8)

        def release(self):
            """Nothing is held."""

    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    with pytest.warns(UserWarning) as caught:
        frames = list(open_source(0, drop_frames=False))
    assert [str(w.message)[:40] for w in caught][0] == (
        'Frame 2 is 120x80 pixels and is fitted i')
    assert len(caught) == 2  # and that it stopped
    assert [f.shape for f in frames] == [(40, 60, 3)] * 4
    assert (frames[2] == 200).all()
    assert (frames[3][:, 15:45] == 200).all()
    assert frames[3].sum() == 200 * 40 * 30 * 3  # black beside it


@pytest.mark.parametrize('size, new, box', [
    ((10, 20), (20, 40), (0, 20, 0, 40)),  # larger, of the same shape
    ((10, 10), (20, 40), (0, 20, 10, 30)),  # borders left and right
    ((10, 90), (20, 30), (8, 11, 0, 30)),  # above and below
    ((1, 900), (20, 30), (9, 10, 0, 30)),  # never less than a pixel
])
def test_fitting(size, new, box):
    out = fit_frame(np.full((*size, 3), 9, np.uint8), new)
    top, bottom, left, right = box
    wanted = np.zeros((*new, 3), np.uint8)
    wanted[top:bottom, left:right] = 9
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize('address, name', [
    ('http://x.org/a/my%20film.final.mp4?q=1', 'my_film.final'),
    ('https://x.org:8080/', 'x.org'),
    ('rtsp://me:pw@10.0.0.5:554/live/main', 'main'),
    ('rtsp://camera/..', 'camera'),
    ('http://x.org/%2e%2e%2fetc%2fpasswd', 'passwd'),  # no way out
    ('udp://@:1234', 'stream'),
    ('http://x.org/фильм.mp4', 'фильм'),
])
def test_names(address, name):
    assert address_name(address) == name
    assert 'pw' not in shown(address) or 'passwd' in address


def test_a_file_address(folder):
    source = open_source((folder / 'my clip.avi').as_uri())
    assert (source.name, source.length, source.live) == (
        'my clip', FRAMES, False)
