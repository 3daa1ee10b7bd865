"""Pictures and lines are left of what the result holds, and of nothing else.
"""
import json

import numpy as np
import torch

from mmvis_memcnp.apis.outputs import VideoOutputs
from mmvis_memcnp.results import Ranked, encode_masks
from mmvis_memcnp.results.frame import frame_result
from mmvis_memcnp.results.ownership import MARKER
from mmvis_memcnp.results.store import TrackStore

SHAPE = (40, 60)


def seen(frame, boxes):
    """A frame result; ``boxes`` maps identities to left edges or None."""
    masks = np.zeros((len(boxes), *SHAPE), dtype=bool)
    for mask, left in zip(masks, boxes.values(), strict=True):
        if left is not None:
            mask[10:20, left:left + 10] = True
    count = len(boxes)
    return frame_result(
        torch.tensor(list(boxes)), torch.zeros(count, 4),
        torch.full((count, ), .9), torch.zeros(count, dtype=torch.long),
        encode_masks(masks), ori_shape=SHAPE, frame_id=frame)


def test_what_was_noise_or_hidden_is_in_no_file(tmp_path):
    frames = [
        {0: 0, 1: 20, 2: 40},
        {2: None},  # hidden, as a clip system says it
        {0: 0, 2: 40},
    ]
    with VideoOutputs(tmp_path, 'clip', ('cat', ), 0.3, video=False,
                      png_masks=True, mots=True) as outputs:
        store = TrackStore(outputs.sink)
        for t, boxes in enumerate(frames):
            result = seen(t, boxes)
            store.append(result)
            outputs.add(np.zeros((*SHAPE, 3), np.uint8), result)
            if t == 1:  # both were noise; identity 0 comes back
                store.drop([0])
                store.drop([1])
        made = outputs.publish(
            store.finish([Ranked(0, 0, .9), Ranked(2, 0, .9)]))
    pictures = {str(path.relative_to(made['masks'])).removesuffix('.png')
                for path in made['masks'].rglob('*.png')}
    assert pictures == {'0000/000002', '0002/000000', '0002/000002'}
    assert {p.name for p in made['masks'].iterdir()} == {
        '0000', '0002', MARKER}
    lines = [line.split()[:2] for line in
             made['mots'].read_text().splitlines()]
    assert lines == [['0', '1002'], ['2', '1000'], ['2', '1002']]


def test_results_name_their_class_and_mots_has_no_class_ten(tmp_path):
    """Readers of MOTS leave out class 10, whatever a model calls so."""
    frames = [{0: 0, 1: 20, 2: 40}]
    with VideoOutputs(tmp_path, 'clip', ('cat', 'owl', 'dog'), 0.3,
                      video=False, mots=True) as outputs:
        store = TrackStore(outputs.sink)
        for t, boxes in enumerate(frames):
            result = seen(t, boxes)
            store.append(result)
            outputs.add(np.zeros((*SHAPE, 3), np.uint8), result)
        made = outputs.publish(
            store.finish([Ranked(i, i, .9) for i in range(3)]), [9, 10, 11])
    entries = json.loads(made['results'].read_text())
    assert [(e['category_id'], e['category_name']) for e in entries] == [
        (9, 'cat'), (10, 'owl'), (11, 'dog')]
    lines = [line.split()[1:3] for line in
             made['mots'].read_text().splitlines()]
    assert lines == [['9000', '9'], ['11001', '11'], ['12002', '12']]
