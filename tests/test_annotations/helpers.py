"""What the tests of all formats share; needs no torch."""
import contextlib
import io
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils

CONVERTERS = Path(__file__).parents[2] / 'tools/dataset_converters'


def convert(name, *args):
    """Run a converter as the command line would, in this process.

    Returns:
        tuple[int, str, str]: Exit status, output, and errors without the
        progress bar.
    """
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
            pytest.MonkeyPatch.context() as patch:
        path = CONVERTERS / f'{name}.py'
        patch.setattr('sys.argv', [str(path), *map(str, args)])
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), '\n'.join(
        line for line in err.getvalue().splitlines()
        if line.startswith('Error: '))


def frames(folder, names, size=(8, 12)):
    """Black frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new('RGB', size[::-1]).save(folder / name)
    return folder


def pixels(*rows):
    """A mask drawn with '#'."""
    return np.array([[c == '#' for c in row] for row in rows])


def placed(part, left, top, size=(8, 12)):
    """A mask at a place of a frame."""
    whole = np.zeros(size, bool)
    whole[top:top + part.shape[0], left:left + part.shape[1]] = part
    return whole


def rectangle(x, y, w, h, size=(8, 12)):
    return placed(np.ones((h, w), bool), x, y, size)


def code(mask):
    """Compressed counts of a mask."""
    return mask_utils.encode(np.asfortranarray(mask, np.uint8))[
        'counts'].decode()


def tracks(path):
    """Objects of a json: (category, mask or None a frame).

    Boxes and areas are compared with the masks first.
    """
    data = json.loads(Path(path).read_text())
    names = {c['id']: c['name'] for c in data['categories']}
    found = []
    for track in data['annotations']:
        masks = [None if s is None else mask_utils.decode(s).astype(bool)
                 for s in track['segmentations']]
        for mask, box, area in zip(masks, track['bboxes'], track['areas'],
                                   strict=True):
            if mask is None:
                assert box is None and area is None
                continue
            y, x = mask.nonzero()
            assert box == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert area == mask.sum()
        found.append((names[track['category_id']], masks))
    return found


def same(found, expected):
    """Whether masks are those expected, None where there is none."""
    assert [m is None for m in found] == [m is None for m in expected]
    for mask, other in zip(found, expected, strict=True):
        if mask is not None:
            np.testing.assert_array_equal(mask, other)
    return True


def is_valid(path, images):
    """What the validator says, frames included."""
    status, out, _ = convert('validate_ytvis', path, '--images', images)
    return status == 0 and 'no problem' in out
