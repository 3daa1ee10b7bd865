"""The data tools, from their command lines."""
import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

ROOT = Path(__file__).parents[2]


class Run:
    """Runs a tool's ``main`` as the command line would, in this process."""

    def __init__(self, monkeypatch, capsys):
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, tool, *arguments):
        """Returns the exit status, the output and the errors."""
        path = ROOT / 'tools' / tool
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.monkeypatch.setattr(sys, 'argv',
                                 [str(path), *map(str, arguments)])
        self.capsys.readouterr()
        status, last_words = 0, ''
        try:
            module.run_tool(module.main)
        except SystemExit as end:
            status = end.code
            if isinstance(status, str):
                status, last_words = 1, status
        out, err = self.capsys.readouterr()
        return status, out, err + last_words


@pytest.fixture
def run(monkeypatch, capsys):
    return Run(monkeypatch, capsys)


def mask(x, y, w, h, size=(8, 12)):
    pixels = np.zeros(size, dtype=np.uint8)
    pixels[y:y + h, x:x + w] = 1
    rle = mask_utils.encode(np.asfortranarray(pixels))
    return dict(size=list(size), counts=rle['counts'].decode())


def good_json(num_videos=1):
    return dict(
        videos=[
            dict(id=v, height=8, width=12, length=2,
                 file_names=[f'{v}/0.jpg', f'{v}/1.jpg'])
            for v in range(1, num_videos + 1)
        ],
        categories=[dict(id=1, name='cat')],
        annotations=[
            dict(id=10 * v, video_id=v, category_id=1, iscrowd=0,
                 segmentations=[mask(1, 2, 3, 4), None],
                 bboxes=[[1, 2, 3, 4], None], areas=[12, None])
            for v in range(1, num_videos + 1)
        ])


# -- validate_ytvis.py ------------------------------------------------------
def spoil(data):
    """One of each problem; returns the lines that must come."""
    video, track = data['videos'][0], data['annotations'][0]
    video['length'] = 5
    video['file_names'].reverse()
    data['videos'] += [
        dict(id=1, height=8, width=0, length=1, file_names=['q.jpg']),
        dict(id=4, height=8, width=8, length=0, file_names=[]),
        dict(height=8, width=8, length=2, file_names=['r.jpg', 'r.jpg'])
    ]
    data['categories'] += [dict(id=1, name='cat'), dict(id=2)]
    segmentations, boxes = track['segmentations'], track['bboxes']
    data['videos'].append(
        dict(id=9, height=8, width=12, length=9,
             file_names=[f'{i}.jpg' for i in range(9)]))
    short = mask(0, 0, 2, 2)
    short['counts'] = short['counts'][:2]
    good = segmentations[0]
    data['annotations'] += [
        dict(track, id=77, video_id=9, iscrowd=3,
             segmentations=[
                 good, None, good, dict(size=[3, 3], counts='1'),
                 mask(0, 0, 0, 0), short, good, good, good
             ],
             bboxes=[
                 None, [1, 2, 3, 4], [1, 2, 0, 4], [1, 2, 3, 4],
                 [1, 2, 3, 4], [0, 0, 2, 2], [7, 0, 3, 4], [1, 2, 3, 40],
                 [1, 2, 3]
             ],
             areas=[500, None, 12, 12, 12, 4, 12, None, 12]),
        dict(track, id=78, video_id=55, category_id=66),
        dict(track, id=79, video_id=9),
        dict(track, id=80, video_id=9, segmentations=[None] * 9,
             bboxes=[None] * 9, areas=None),
        dict(track, id=10),
    ]
    assert boxes is track['bboxes']
    return [
        'video 1: length is 5, but file_names has 2',
        'video 1: file_names is not in the order',
        'video 1: 2 records have this id',
        "video 1: its width is 0, not a positive whole number",
        'video 4: it has no file_names',
        'video at position 3: its id is None',
        'video at position 3: r.jpg is listed 2 times',
        'category 1: 2 records have this id',
        "category 'cat': 2 records have this name",
        'category 2: it has no name',
        'annotation 77: iscrowd is 3',
        'annotation 77, frame 0: it has a mask, but no box',
        'annotation 77, frame 0: its area is 500, but its mask has 12',
        'annotation 77, frame 1: it has a box, but no mask',
        'annotation 77, frame 2: the box [1, 2, 0, 4] is less than one pixel',
        'annotation 77, frame 3: the mask has the size [3, 3]',
        'annotation 77, frame 4: the mask is empty',
        'annotation 77, frame 5: the mask ',
        'annotation 77, frame 6: the box [7, 0, 3, 4] is not that of its mask',
        'annotation 77, frame 7: the box [1, 2, 3, 40] reaches out',
        'annotation 77, frame 7: its area is None, but it has a mask',
        'annotation 77, frame 8: the box is [1, 2, 3], not four numbers',
        'annotation 78: its video_id 55 is that of no video',
        'annotation 78: its category_id 66 is that of no category',
        'annotation 79: segmentations has 2 entries, but its video has 9',
        'annotation 79: bboxes has 2 entries',
        'annotation 79: areas has 2 entries',
        'annotation 80: it is visible in no frame',
        'annotation 80: it has no areas',
        'annotation 10: 2 records have this id',
    ]


def test_validate_prints_every_problem(run, tmp_path):
    data = good_json()
    expected = spoil(data)
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(data))
    status, out, err = run('dataset_converters/validate_ytvis.py', path)
    lines = out.splitlines()
    for line in expected:
        assert any(got.startswith(line) for got in lines), line
    assert [got for got in lines
            if not any(got.startswith(line) for line in expected)] == []
    assert status == 1 and f'{len(lines)} problems' in err


def test_validate_passes_what_is_good(run, tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(good_json()))
    status, out, err = run('dataset_converters/validate_ytvis.py', path)
    assert (status, err) == (0, '')
    assert 'no problem; 1 videos, 1 tracks, 1 categories' in out


def test_validate_passes_a_released_validation_json(run, tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(good_json() | dict(annotations=None)))
    assert run('dataset_converters/validate_ytvis.py', path)[0] == 0


def test_validate_looks_at_the_frames(run, tmp_path):
    path = tmp_path / 'a.json'
    data = good_json()
    data['videos'][0].update(length=4, file_names=[
        '1/0.jpg', '1/1.jpg', '1/2.jpg', '1/3.jpg'])
    data['annotations'] = []
    path.write_text(json.dumps(data))
    (tmp_path / '1').mkdir()
    image = Image.fromarray(np.full((8, 12, 3), 9, np.uint8))
    image.save(tmp_path / '1' / '0.jpg')
    image.resize((6, 4)).save(tmp_path / '1' / '1.jpg')
    whole = (tmp_path / '1' / '0.jpg').read_bytes()
    (tmp_path / '1' / '2.jpg').write_bytes(whole[:-20])
    status, out, _ = run('dataset_converters/validate_ytvis.py', path,
                         '--images', tmp_path)
    assert status == 1
    assert out.splitlines() == [
        'video 1: 1/1.jpg is 6x4 pixels, but the video 12x8',
        'video 1: 1/2.jpg is cut off',
        f'video 1: 1/3.jpg does not exist in {tmp_path}/1'
    ]


@pytest.mark.parametrize('suffix, largest, said', [
    ('png', [100, 4095], 'video 1: 1/1.png is a file of 16 bits with values '
     'up to 4095: these look like 12 bits'),
    ('tif', [9, 9], 'up to 9: these look like 8 bits'),
    # one dark frame is a dark frame; all are black: nothing to multiply
    ('png', [100, 4096], 'no problem'),
    ('png', [0, 0], 'no problem'),
])
def test_validate_names_what_is_nearly_black(run, tmp_path, suffix, largest,
                                             said):
    path, names = tmp_path / 'a.json', [f'1/{i}.{suffix}' for i in (0, 1)]
    data = good_json() | dict(annotations=[])
    data['videos'][0].update(length=2, file_names=names)
    path.write_text(json.dumps(data))
    (tmp_path / '1').mkdir()
    for name, value in zip(names, largest, strict=True):
        Image.fromarray(np.full((8, 12), value, np.uint16)).save(
            tmp_path / name)
    _, out, _ = run('dataset_converters/validate_ytvis.py', path,
                    '--images', tmp_path)
    assert said in out and len(out.splitlines()) == 1


@pytest.mark.parametrize('data, sentence', [
    (dict(images=[], annotations=[]), 'COCO json of still images'),
    (dict(images=[], videos=[]), 'youtubevis2coco.py'),
    ([dict(video_id=1, score=1.)], 'results file'),
])
def test_validate_names_other_flavours(run, tmp_path, data, sentence):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(data))
    status, out, _ = run('dataset_converters/validate_ytvis.py', path)
    assert status == 1 and sentence in out and len(out.splitlines()) == 1


def test_validate_without_a_file(run, tmp_path):
    status, _, err = run('dataset_converters/validate_ytvis.py',
                         tmp_path / 'a.json')
    assert status == 1 and len(err.splitlines()) == 1


# -- split_ytvis.py ---------------------------------------------------------
def split(run, tmp_path, *more):
    path = tmp_path / 'all.json'
    if not path.exists():
        path.write_text(json.dumps(good_json(20)))
    return run('dataset_converters/split_ytvis.py', path, '--train',
               tmp_path / 'train.json', '--dev', tmp_path / 'dev.json',
               '--num-dev', 6, *more)


def test_split_is_seeded_and_complete(run, tmp_path):
    status, out, _ = split(run, tmp_path)
    train, dev = (json.loads((tmp_path / f'{name}.json').read_text())
                  for name in ('train', 'dev'))
    ids = [v['id'] for v in dev['videos']]
    assert status == 0 and len(ids) == 6
    assert sorted(ids + [v['id'] for v in train['videos']]) == list(
        range(1, 21))
    for part in (train, dev):
        assert [a['video_id'] for a in part['annotations']] == [
            v['id'] for v in part['videos']]
        assert part['categories'] == [dict(id=1, name='cat')]
    digest = hashlib.sha256('\n'.join(map(str, sorted(ids))).encode())
    assert digest.hexdigest() in out
    # The choice is a hash, the same on every machine and for ever.
    assert ids == sorted(
        sorted(range(1, 21), key=lambda i: hashlib.sha256(
            f'0:{i}'.encode()).hexdigest())[:6])
    assert split(run, tmp_path)[0] == 1
    assert split(run, tmp_path, '--overwrite')[1] == out
    assert split(run, tmp_path, '--overwrite', '--seed', 1)[1] != out


def test_split_checks_the_hash(run, tmp_path):
    digest = split(run, tmp_path)[1].split()[-1]
    (tmp_path / 'dev.json').unlink()
    status, _, err = split(run, tmp_path, '--seed', 1, '--expect-hash', digest,
                           '--overwrite')
    assert status == 1 and 'nothing was written' in err
    assert not (tmp_path / 'dev.json').exists()
    assert split(run, tmp_path, '--expect-hash', digest, '--overwrite')[0] == 0


def test_split_leaves_no_side_empty(run, tmp_path):
    status, _, err = split(run, tmp_path, '--num-dev', 20)
    assert status == 1 and '20 of 20 videos' in err
    assert 'take a number from 1 to 19.' in err
    assert not (tmp_path / 'dev.json').exists()


# -- subset_ytvis.py --------------------------------------------------------
def subset(run, tmp_path, *more):
    path = tmp_path / 'all.json'
    data = good_json(8)
    # COCO has cats, persons and sheep, but no tigers.
    data['categories'] = [dict(id=i, name=name) for i, name in enumerate(
        ('Cat', 'Person', 'Tiger', 'Sheep'), 1)]
    track = data['annotations'][0]
    data['annotations'] = [
        {**track, 'id': i, 'video_id': video, 'category_id': kind}
        for i, (video, kind) in enumerate([
            (1, 1), (2, 2), (2, 4), (3, 3), (4, 1), (4, 3), (5, 2), (6, 4),
            (8, 1)], 1)]
    path.write_text(json.dumps(data))
    done = run('dataset_converters/subset_ytvis.py', path,
               tmp_path / 'out.json', *more)
    out = tmp_path / 'out.json'
    return (*done, json.loads(out.read_text()) if out.exists() else None)


def test_subset_of_the_classes_of_coco(run, tmp_path):
    status, said, _, data = subset(run, tmp_path, '--class-map', 'ovis')
    # 3 has a tiger alone, 4 one beside a cat, 7 nothing at all.
    assert status == 0 and [v['id'] for v in data['videos']] == [1, 2, 5, 6, 8]
    assert [a['id'] for a in data['annotations']] == [1, 2, 3, 7, 8, 9]
    assert len(data['categories']) == 4
    assert '5 of 5 videos' in said and '(8 in all)' in said
    # YouTube-VIS has no sheep.
    *_, data = subset(run, tmp_path, '--class-map', 'ytvis2021', '--overwrite')
    assert [v['id'] for v in data['videos']] == [1, 5, 8]


def test_subset_of_a_number_of_videos(run, tmp_path):
    drawn = ('--class-map', 'ovis', '--num-videos', 3)
    status, said, _, data = subset(run, tmp_path, *drawn)
    ids = [v['id'] for v in data['videos']]
    assert status == 0 and ids == sorted(sorted(
        [1, 2, 5, 6, 8], key=lambda i: hashlib.sha256(
            f'0:{i}'.encode()).hexdigest())[:3])
    digest = hashlib.sha256('\n'.join(map(str, ids)).encode())
    assert digest.hexdigest() in said
    assert subset(run, tmp_path, *drawn)[0] == 1
    assert subset(run, tmp_path, *drawn, '--overwrite')[1] == said
    status, _, error, _ = subset(run, tmp_path, '--class-map', 'ovis',
                                 '--num-videos', 6, '--overwrite')
    assert status == 1 and '6 of 5 videos cannot be drawn' in error


@pytest.mark.parametrize('text, sentence', [
    ('{"videos": [', 'a.json is not a readable json'),
    ('{"images": []}', 'is a COCO json of still images'),
    ('{"videos": [{"id": 1}]}', 'video 1: its height is None'),
    (None, 'a.json cannot be read: No such file'),
])
@pytest.mark.parametrize('tool, options', [
    ('dataset_converters/split_ytvis.py',
     ('--train', 't.json', '--dev', 'd.json', '--num-dev', 1)),
    ('analysis_tools/colour_baseline.py', ('images', '--out', 'out.json')),
])
def test_tools_say_what_is_wrong_with_a_json(run, tmp_path, tool, options,
                                             text, sentence):
    if text is not None:
        (tmp_path / 'a.json').write_text(text)
    status, _, err = run(tool, tmp_path / 'a.json', *(
        tmp_path / o if str(o).endswith('.json') else o for o in options))
    assert status == 1 and sentence in err and len(err.splitlines()) == 1
    assert not list(tmp_path.glob('[tdo]*.json'))


# -- davis2ytvis.py ---------------------------------------------------------
def davis_folder(tmp_path, name='seq', frames=3):
    images, masks = tmp_path / 'img' / name, tmp_path / 'mask' / name
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for t in range(frames):
        Image.fromarray(np.full((8, 12, 3), 50, np.uint8)).save(
            images / f'{t:05d}.jpg')
        pixels = np.zeros((8, 12), np.uint8)
        pixels[0, :] = 255
        pixels[2:6, 1:4] = 2
        if t == 1:
            pixels[3:5, 6:8] = 1
        image = Image.fromarray(pixels, mode='P')
        image.putpalette([v for v in range(256) for _ in range(3)])
        image.save(masks / f'{t:05d}.png')
    return tmp_path / 'img', tmp_path / 'mask'


def test_davis(run, tmp_path):
    images, masks = davis_folder(tmp_path)
    out = tmp_path / 'out.json'
    names = tmp_path / 'names.json'
    names.write_text(json.dumps(dict(seq={'2': 'cat'})))
    status, _, err = run('dataset_converters/davis2ytvis.py', images, masks,
                         out, '--categories', names)
    assert status == 0, err
    data = json.loads(out.read_text())
    assert data['videos'] == [
        dict(id=1, width=12, height=8, length=3,
             file_names=[f'seq/{t:05d}.jpg' for t in range(3)])]
    assert [c['name'] for c in data['categories']] == ['cat', 'object']
    one, two = data['annotations']
    assert (one['category_id'], two['category_id']) == (2, 1)
    assert one['bboxes'] == [None, [6, 3, 2, 2], None]
    assert two['areas'] == [12, 12, 12]
    assert two['segmentations'] == [mask(1, 2, 3, 4)] * 3
    assert run('dataset_converters/validate_ytvis.py', out, '--images',
               images)[0] == 0


def test_davis_problems_are_named(run, tmp_path):
    images, masks = davis_folder(tmp_path)
    (images / 'seq' / '00002.jpg').unlink()
    out = tmp_path / 'out.json'
    status, _, err = run('dataset_converters/davis2ytvis.py', images, masks,
                         out)
    assert status == 1 and '00002.png has no frame' in err
    (masks / 'seq' / '00002.png').unlink()
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(
        masks / 'seq' / '00001.png')
    status, _, err = run('dataset_converters/davis2ytvis.py', images, masks,
                         out)
    assert status == 1 and 'RGB picture; a mask is a palette' in err
    assert not out.exists()


def save_mask(path, values, mode):
    """A square of the value 9x9 each, in a picture of a mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((12, 12 * len(values)), np.uint8)
    for i, value in enumerate(values):
        pixels[1:10, 12 * i + 1:12 * i + 10] = value
    image = Image.fromarray(pixels, mode='P' if mode == 'P' else 'L')
    if mode == 'P':
        image.putpalette(list(range(256)) * 3)
    image.convert(mode).save(path)
    return pixels.shape


def one_video(tmp_path, frames):
    """Frames of lists of values, and of a mode each, as sequence 'v'."""
    for t, (values, mode) in enumerate(frames):
        height, width = save_mask(
            tmp_path / f'm/v/{t}.png', values, mode)
        path = tmp_path / f'f/v/{t}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (width, height)).save(path)
    return 'dataset_converters/davis2ytvis.py', tmp_path / 'f', tmp_path / 'm'


@pytest.mark.parametrize('frames, areas, said', [
    # as DAVIS 2016 comes: the mask is 255, and was taken for unlabelled
    ([([255], 'L')], [81], '255 is taken as one object'),
    ([([255], 'P')], [81], '255 is taken as one object'),
    ([([255], 'LA')], [81], '255 is taken as one object'),
    # Pillow reads 1-bit pictures as False and True
    ([([255], '1')], [81], ''),
    # any single value
    ([([128], 'L')], [81], ''),
    ([([38], 'P'), ([38], 'P')], [162], ''),
    # 255 beside others is unlabelled, also where it is alone in a frame
    ([([1, 255], 'L')], [81], '255 is taken as unlabelled'),
    ([([1, 0], 'P'), ([0, 255], 'P')], [81], '255 is taken as unlabelled'),
    # several objects, in the order of their values
    ([([7, 3], 'P'), ([3, 3], 'P')], [81 + 162, 81], ''),
])
def test_davis_values(run, tmp_path, frames, areas, said):
    out = tmp_path / 'o.json'
    status, stdout, err = run(*one_video(tmp_path, frames), out)
    assert status == 0, err
    tracks = json.loads(out.read_text())['annotations']
    assert [sum(filter(None, t['areas'])) for t in tracks] == areas
    assert f'v: {len(frames)} frames, {len(areas)} objects.' in stdout
    assert said in stdout and 'Warning' not in stdout


def test_davis_names_a_video_without_objects(run, tmp_path):
    status, stdout, _ = run(*one_video(tmp_path, [([0], 'L'), ([0], 'P')]),
                            tmp_path / 'o.json')
    assert status == 0
    assert 'Warning: v: no object in its 2 frames.' in stdout


def test_davis_alpha_is_background(run, tmp_path):
    arguments = one_video(tmp_path, [([5, 9], 'LA')])
    path = tmp_path / 'm/v/0.png'
    pixels = np.array(Image.open(path))
    pixels[:, 12:, 1] = 100  # the second square is mostly transparent
    Image.fromarray(pixels, 'LA').save(path)
    out = tmp_path / 'o.json'
    assert run(*arguments, out)[0] == 0
    assert [t['areas'] for t in json.loads(out.read_text())['annotations']
            ] == [[81]]


@pytest.mark.parametrize('values, warned', [
    (range(1, 51), False),  # the most that pass
    (range(1, 52), True),
])
def test_davis_many_objects(run, tmp_path, values, warned):
    status, stdout, _ = run(*one_video(tmp_path, [(list(values), 'P')]),
                            tmp_path / 'o.json')
    assert status == 0
    assert ('Warning: v: 51 objects, of the values 1, 2, 3' in stdout) == (
        warned)


def test_davis_smoothed_masks_are_named(run, tmp_path):
    arguments = one_video(tmp_path, [([255], 'L')])
    path = tmp_path / 'm/v/0.png'
    mask_picture = Image.open(path)
    mask_picture.resize((30, 30), Image.BILINEAR).resize(
        (12, 12), Image.BICUBIC).save(path)
    values = sorted(set(np.unique(np.array(Image.open(path))).tolist())
                    - {0, 255})
    status, stdout, _ = run(*arguments, tmp_path / 'o.json')
    assert status == 0
    assert (f'Warning: v: the values {", ".join(map(str, values[:20]))}'
            in stdout and 'only form lines' in stdout)


def test_davis_order_hidden_files_and_suffixes(run, tmp_path):
    _, frames, masks = arguments = one_video(
        tmp_path, [([t + 1], 'P') for t in range(11)])
    (frames / 'v/3.jpg').rename(frames / 'v/3.JPG')
    Image.new('RGB', (12, 12)).save(frames / 'v/4.webp')
    (frames / 'v/4.jpg').unlink()
    for folder in (frames / '.ipynb_checkpoints', masks / '.hidden'):
        folder.mkdir()
    (masks / 'v/._0.png').write_bytes(b'of a Mac')
    (frames / 'v/._0.jpg').write_bytes(b'of a Mac')
    out = tmp_path / 'o.json'
    status, _, err = run(*arguments, out)
    assert status == 0, err
    data = json.loads(out.read_text())
    assert data['videos'][0]['file_names'] == [
        'v/0.jpg', 'v/1.jpg', 'v/2.jpg', 'v/3.JPG', 'v/4.webp', 'v/5.jpg',
        'v/6.jpg', 'v/7.jpg', 'v/8.jpg', 'v/9.jpg', 'v/10.jpg']
    for value, track in enumerate(data['annotations']):
        assert [bool(a) for a in track['areas']] == [
            t == value for t in range(11)]


@pytest.mark.parametrize('change, sentence', [
    ('orientation', '0.png has 24x12 pixels, but its frames 12x24 as they'),
    ('twice', 'are the same frame: take one of them away'),
    ('size', '1.jpg has 9x9 pixels, but '),
    ('no image', '1.jpg is not a readable image.'),
])
def test_davis_frames_that_do_not_fit(run, tmp_path, change, sentence):
    _, frames, masks = arguments = one_video(
        tmp_path, [([1, 2], 'P'), ([1, 2], 'P')])
    if change == 'orientation':  # stored 24x12, shown 12x24
        exif = Image.Exif()
        exif[274] = 6
        for path in (frames / 'v').iterdir():
            Image.new('RGB', (24, 12)).save(path, exif=exif)
    elif change == 'twice':
        Image.new('RGB', (24, 12)).save(frames / 'v/1.png')
    elif change == 'size':
        Image.new('RGB', (9, 9)).save(frames / 'v/1.jpg')
    else:
        (frames / 'v/1.jpg').write_bytes(b'text')
    out = tmp_path / 'o.json'
    status, _, err = run(*arguments, out)
    assert status == 1 and sentence in err and not out.exists()
    if change == 'orientation':  # masks as the frames are shown
        for path in (masks / 'v').iterdir():
            Image.open(path).transpose(Image.ROTATE_270).save(path)
        assert run(*arguments, out)[0] == 0
        assert json.loads(out.read_text())['videos'][0]['height'] == 24
        assert run('dataset_converters/validate_ytvis.py', out, '--images',
                   frames)[0] == 0


@pytest.mark.parametrize('folder, sentence', [
    ('f/w', 'The sequence w of '), ('m/w', 'w has no folder with frames in')])
def test_davis_folders_without_each_other(run, tmp_path, folder, sentence):
    arguments = one_video(tmp_path, [([1], 'P')])
    (tmp_path / folder).mkdir()
    out = tmp_path / 'o.json'
    status, _, err = run(*arguments, out)
    assert status == 1 and sentence in err and not out.exists()
    status, said, _ = run(*arguments, out, '--skip')
    assert status == 0 and sentence in said and '1 skipped' in said


def test_davis_masks_of_another_video(run, tmp_path):
    images, masks = davis_folder(tmp_path, 'a')
    davis_folder(tmp_path, 'b')
    out = tmp_path / 'out.json'
    status, _, err = run('dataset_converters/davis2ytvis.py', images / 'a',
                         masks / 'b', out)
    assert status == 1 and not out.exists()
    assert f'but {masks / "a"} has their name: give that.' in err
    assert run('dataset_converters/davis2ytvis.py', images / 'a', masks / 'a',
               out)[0] == 0


def test_a_broken_video_can_be_left_out(run, tmp_path):
    tool, frames, masks = one_video(tmp_path, [([1], 'P')])
    (frames / 'w').mkdir()
    (masks / 'w').mkdir()
    out = tmp_path / 'o.json'
    status, _, err = run(tool, frames, masks, out)
    assert status == 1 and 'w has no PNG' in err and '--skip leaves' in err
    assert not out.exists()
    status, said, _ = run(tool, frames, masks, out, '--skip')
    assert status == 0 and f'Skipped w: {masks}/w has no PNG' in said
    assert 'o.json: 1 videos, 1 objects, 1 categories; 1 skipped.' in said
    assert [v['file_names'] for v in json.loads(out.read_text())['videos']
            ] == [['v/0.jpg']]
    (masks / 'v/0.png').unlink()
    status, _, err = run(tool, frames, masks, tmp_path / 'p.json', '--skip')
    assert status == 1 and 'No video is left; nothing was written' in err


@pytest.mark.parametrize('names, sentence', [
    ('[]', 'names.json is a list but must be like'),
    ('{"v": ["cat"]}', "the entry of the video 'v' is a list"),
    ('{"v": {"1": 3}}', "the object '1' of the video 'v' is 3"),
    ('{"v": {"1": ""}}', "the object '1' of the video 'v' is ''"),
    ('{"v"', 'names.json is not a readable json'),
])
def test_categories_are_checked_first(run, tmp_path, names, sentence):
    path = tmp_path / 'names.json'
    path.write_text(names)
    # The folders do not exist: the names are looked at before.
    status, _, err = run('dataset_converters/davis2ytvis.py', tmp_path / 'f',
                         tmp_path / 'm', tmp_path / 'o.json', '--categories',
                         path)
    assert status == 1 and sentence in err and len(err.splitlines()) == 1


def test_categories_that_name_nothing_are_said(run, tmp_path):
    path = tmp_path / 'names.json'
    path.write_text('{"v": {"1": "cat", "7": "dog"}, "w": {"1": "cat"}}')
    status, said, _ = run(*one_video(tmp_path, [([1, 2], 'P')]),
                          tmp_path / 'o.json', '--categories', path)
    assert status == 0
    assert 'v: --categories names 7, but its objects are 1, 2.' in said
    assert 'names the videos w, which are not among' in said


def test_no_tool_replaces_what_it_reads_or_did_not_make(run, tmp_path):
    tool, frames, masks = one_video(tmp_path, [([1], 'P')])
    names = tmp_path / 'names.json'
    names.write_text('{}')
    status, _, err = run(tool, frames, masks, names, '--categories', names,
                         '--overwrite')
    assert status == 1 and 'names.json is read and would be' in err
    thesis = tmp_path / 'thesis.json'
    thesis.write_text('mine')
    status, _, err = run(tool, frames, masks, thesis, '--overwrite')
    assert status == 1 and 'was not made by this package' in err
    assert (names.read_text(), thesis.read_text()) == ('{}', 'mine')
    out = tmp_path / 'new/deep/o.json'  # missing parents are made
    assert run(tool, frames, masks, out)[0] == 0
    assert run(tool, frames, masks, out)[0] == 1
    assert run(tool, frames, masks, out, '--overwrite')[0] == 0


def test_davis_real_clip(run, tmp_path, shared_dir):
    clip = shared_dir / 'data' / 'davis_schoolgirls'
    if not clip.is_dir():
        pytest.skip('needs data/davis_schoolgirls')
    out = tmp_path / 'out.json'
    status, _, err = run('dataset_converters/davis2ytvis.py',
                         clip / 'JPEGImages', clip / 'Annotations', out)
    assert status == 0, err
    got = json.loads(out.read_text())
    expected = json.loads((clip / 'instances_ytvis.json').read_text())
    assert got['videos'][0]['file_names'] == expected['videos'][0][
        'file_names']
    by_value = {a['object_value_in_png']: a for a in expected['annotations']}
    # The objects have the values 1 to 7, and ours are in that order.
    assert sorted(by_value) == list(range(1, len(got['annotations']) + 1))
    for value, track in enumerate(got['annotations'], start=1):
        for key in ('segmentations', 'bboxes', 'areas'):
            assert track[key] == by_value[value][key]


# -- moving_shapes.py, colour_baseline.py ----------------------------------
def test_moving_shapes_and_baseline(run, tmp_path):
    out = tmp_path / 'shapes'
    arguments = (out, '--videos', 1, '--frames', 6, '--size', '64x96',
                 '--seed', 5, '--level', 'easy')
    status, stdout, err = run('dataset_converters/moving_shapes.py',
                              *arguments)
    assert status == 0, err
    assert stdout.split() == [f'{out}/instances.json', f'{out}/preview.png']
    assert '6/6' in err  # the progress bar
    data = json.loads((out / 'instances.json').read_text())
    assert data['videos'][0]['height'] == 64
    status, _, err = run('dataset_converters/moving_shapes.py', *arguments)
    assert status == 1 and 'is not empty' in err
    assert len(err.splitlines()) == 1

    results = tmp_path / 'results.json'
    status, _, err = run('analysis_tools/colour_baseline.py',
                         out / 'instances.json', out / 'JPEGImages', '--out',
                         results)
    assert status == 0, err
    found = json.loads(results.read_text())
    assert found
    for entry in found:
        assert entry['video_id'] == 1 and 0 < entry['score'] <= 1
        assert len(entry['segmentations']) == 6
        assert any(entry['segmentations'])


@pytest.mark.parametrize('fields, sentence', [
    # a video that is scored without file names cannot be read
    (dict(videos=[dict(id=4, height=8, width=8, length=2)]),
     'Video 4 has no file_names: list'),
    (dict(videos=None, categories=None), 'has no categories: results need'),
])
def test_colour_baseline_needs_frames_and_classes(run, tmp_path, fields,
                                                  sentence):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(dict(
        videos=[], annotations=None, categories=[dict(id=1, name='a')])
        | fields))
    status, _, err = run('analysis_tools/colour_baseline.py', path, tmp_path,
                         '--out', tmp_path / 'r.json')
    assert status == 1 and sentence in err and 'Traceback' not in err
    assert not (tmp_path / 'r.json').exists()


@pytest.mark.parametrize('size', ['128', 'axb', '128x'])
def test_moving_shapes_size(run, tmp_path, size):
    status, _, err = run('dataset_converters/moving_shapes.py',
                         tmp_path / 'a', '--size', size)
    assert status == 2 and 'is not HEIGHTxWIDTH' in err
