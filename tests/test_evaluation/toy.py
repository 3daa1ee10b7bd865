"""Hand-made tracks on 4 x 4 frames."""
from types import SimpleNamespace

import numpy as np
from pycocotools import mask as mask_utils


def rle(*pixels, size=(4, 4)):
    """Code of a mask with the given (row, column) pixels or row slices."""
    mask = np.zeros(size, np.uint8)
    for pixel in pixels:
        mask[pixel] = 1
    return mask_utils.encode(np.asfortranarray(mask))


def rows(*numbers, size=(4, 4)):
    """Code of a mask of whole rows."""
    return rle(*[np.s_[n] for n in numbers], size=size)


def text(code):
    """The same code with str counts, as in json files."""
    return code and dict(size=list(code['size']),
                         counts=code['counts'].decode())


def annotation(number, segmentations, category=1, video=1, **more):
    """An annotation record; areas are left out unless given."""
    return dict(id=number, video_id=video, category_id=category,
                segmentations=[text(s) for s in segmentations], iscrowd=0,
                **more)


def ground_truth(annotations, videos=(1, ), length=2, categories=(1, )):
    """Content of a json of 4 x 4 videos."""
    names = {1: 'cat', 2: 'dog', 7: 'owl'}
    return dict(
        videos=[dict(id=v, height=4, width=4, length=length,
                     file_names=[f'{v}/{t}.jpg' for t in range(length)])
                for v in videos],
        categories=[dict(id=c, name=names[c]) for c in categories],
        annotations=annotations)


def result(segmentations, score=.9, category=1, video=1):
    """An entry of results.json."""
    return dict(video_id=video, category_id=category, score=score,
                segmentations=[text(s) for s in segmentations])


def video_result(*tracks):
    """What a test loop hands over: tracks of (label, score, masks)."""
    return SimpleNamespace(sigma_map=None, tracks=[
        SimpleNamespace(id=i, label=label, score=score,
                        segmentations=list(masks))
        for i, (label, score, masks) in enumerate(tracks)
    ])
