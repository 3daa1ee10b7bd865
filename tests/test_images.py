"""All tools see the same picture."""
import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmvis_memcnp import images
from mmvis_memcnp.apis import open_source
from mmvis_memcnp.datasets import LoadFrame
from mmvis_memcnp.images import (
    decode_image,
    image_size,
    is_cut_off,
    largest_of_16_bits,
    list_folders,
    list_images,
    natural_order,
    open_upright,
    read_image,
)


def picture():
    """(48, 80, 3), RGB, with no symmetry."""
    cells = np.random.default_rng(0).integers(0, 255, (6, 10, 3), np.uint8)
    return np.kron(cells, np.ones((8, 8, 1), np.uint8))


def encoded(kind, orientation):
    image, file = Image.fromarray(picture()), io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    more = {
        'jpeg': dict(exif=exif, quality=100, subsampling=0),
        'webp': dict(exif=exif, lossless=True),
        'tiff': dict(tiffinfo={274: orientation}),
    }.get(kind, dict(exif=exif))
    image.save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp', 'tiff'])
def test_orientation(tmp_path, kind, orientation):
    """As Pillow turns it, in every reader, whatever OpenCV knows of it."""
    data = encoded(kind, orientation)
    path = tmp_path / f'a.{kind}'
    path.write_bytes(data)
    shown = np.asarray(ImageOps.exif_transpose(
        Image.open(path)).convert('RGB'))[..., ::-1]
    assert shown.shape[:2] == ((48, 80) if orientation < 5 else (80, 48))
    image = read_image(path)
    assert image.shape == shown.shape
    assert np.abs(image.astype(int) - shown).max() <= (
        4 if kind == 'jpeg' else 0)  # two JPEG decoders
    assert image_size(data) == shown.shape[:2]
    assert open_upright(path).size == shown.shape[1::-1]
    frame, = open_source(path)
    np.testing.assert_array_equal(frame, image)
    loaded = LoadFrame()(dict(img_path=str(path)))['img']
    np.testing.assert_array_equal(loaded, image)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.webp', '.tif'])
@pytest.mark.parametrize('shape', [(20, 30), (20, 30, 3)])
def test_without_orientation_it_is_opencv(suffix, shape):
    image = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    data = cv2.imencode(suffix, image)[1].tobytes()
    np.testing.assert_array_equal(
        decode_image(data, 'a'),
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('largest, bits', [
    (255, 8),       # 8 bits that were not scaled: all would be black
    (1023, 10),
    (4095, 12),     # as cameras give them
    (4096, None),   # dark, but more than 12 bits
    (65535, None),
    (0, None),      # black is black
])
def test_16_bits(monkeypatch, suffix, largest, bits):
    monkeypatch.setattr(images, '_warned', set())
    values = np.linspace(0, largest, 600).astype(np.uint16).reshape(20, 30)
    data = cv2.imencode(suffix, values)[1].tobytes()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        image = decode_image(data, 'v/0.png')
        decode_image(data, 'v/1.png')  # once a folder
    np.testing.assert_array_equal(image[..., 0], values >> 8)
    if bits is None:
        assert not said
    else:
        message = str(said[0].message)
        assert len(said) == 1 and 'v/0.png is a file of 16 bits' in message
        assert f'up to {largest}: these look like {bits} bits' in message
        assert f'multiply them by {2**(16 - bits)} ' in message


@pytest.mark.parametrize('data, sentence', [
    (b'', 'cut off'),
    (b'text', 'is not a readable image'),
    (encoded('png', 1)[:200], 'cut off'),
    (encoded('jpeg', 6)[:-50], 'cut off'),
    (cv2.imencode('.tif', np.ones((9, 9, 3), np.float32))[1].tobytes(),
     'float32 values'),
])
def test_no_image(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        decode_image(data, 'a')


def png(*chunks):
    """Chunks (name, content) with their checksums."""
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(content)) + name + content
        + struct.pack('>I', zlib.crc32(name + content))
        for name, content in chunks)


def png_of(width, height, bits):
    """Whole, with pixels for one row of 9 alone."""
    return png((b'IHDR', struct.pack('>IIBBBBB', width, height, bits, 0, 0, 0,
                                     0)),
               (b'IDAT', zlib.compress(bytes(10))), (b'IEND', b''))


WIDE = (1 << 20) + 1
DAMAGED = [
    # OpenCV raises for what would take gigabytes, Pillow another error
    png_of(60_000, 60_000, 8),
    png_of(60_000, 60_000, 16),  # read whole by the validator
    # OpenCV raises for a side beyond a million
    encoded('bmp', 1)[:18] + struct.pack('<i', WIDE) + encoded(
        'bmp', 1)[22:],
    # Pillow: 'Truncated IHDR chunk', without the name of the file
    png((b'IHDR', bytes(5)), (b'IEND', b'')),
    b'',
    b'II*\0' + bytes(40),  # a TIFF of nothing
]


@pytest.mark.parametrize('data', DAMAGED)
def test_damaged_images_get_a_sentence_of_every_reader(tmp_path, data):
    path = tmp_path / 'a.png'
    path.write_bytes(data)
    for read in (lambda: decode_image(data, path), lambda: read_image(path)):
        with pytest.raises(ValueError, match='The frame .*a.png is ') as error:
            read()
        assert 'cut off' in str(error.value) or \
            str(error.value).endswith('is not a readable image.')
    assert largest_of_16_bits(path) is None
    with pytest.raises(ValueError, match='a.png is not a readable image'):
        open_upright(path)
    size = None
    try:
        size = image_size(data)  # what its header says
    except ValueError as error:
        assert str(error) == 'is not a readable image'
    assert size in (None, (48, WIDE))


def test_a_damaged_image_with_something_behind_it():
    """Decoded to see whether it is cut off, which raises as above."""
    huge, short = DAMAGED[0], DAMAGED[3]
    assert not is_cut_off(huge + b'x') and is_cut_off(short + b'x')
    for data in (huge, short):
        with pytest.raises(ValueError, match='The frame a is '):
            decode_image(data + b'x', 'a')


@pytest.mark.parametrize('ordered', [
    ['9.jpg', '10.jpg'],                         # not by text
    ['3', 'u/img_2.jpg', 'u/img_2_b.jpg', 'v/9.jpg', 'v/10.jpg'],
    ['a1b2', 'a1b10', 'a2b1'],                   # every number counts
    ['01.jpg', '1.jpg', '02.jpg'],               # the same number: by text
    ['٣.jpg', '١٠.jpg'],                         # other digits are digits
    ['x²3.jpg', 'x²11.jpg'],                     # a superscript is none
    ['frame-1', 'frame-2', 'frame-10'],          # no minus signs
    ['1' + '0' * 5000, '9' * 5000],              # too long to be a number
])
def test_natural_order(ordered):
    for names in (ordered, ordered[::-1]):
        assert natural_order(names) == ordered


def test_what_is_listed(tmp_path):
    for name in ('10.jpg', '9.JPG', '1.webp', '._9.jpg', '.hidden.png',
                 'notes.txt'):
        (tmp_path / name).touch()
    for name in ('.ipynb_checkpoints', 'b10', 'b9', 'folder.png'):
        (tmp_path / name).mkdir()
    assert [p.name for p in list_images(tmp_path)] == [
        '1.webp', '9.JPG', '10.jpg']
    assert [p.name for p in list_images(tmp_path, ('.jpg', ))] == [
        '9.JPG', '10.jpg']
    assert [p.name for p in list_folders(tmp_path)] == [
        'b9', 'b10', 'folder.png']


def test_a_folder_is_no_frame(tmp_path):
    with pytest.raises(ValueError, match='cannot be read: Is a directory'):
        read_image(tmp_path)
