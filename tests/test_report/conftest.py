"""Small jsons and the tool that makes a page of them."""
import json

import cv2
import numpy as np
import pytest

from tests.fakes.programs import run_program
from tests.test_evaluation.toy import (
    annotation,
    ground_truth,
    result,
    rows,
)

from .helpers import TOOL


@pytest.fixture
def tool(tmp_path):
    """Run the tool in this process; the finished program."""
    def run(*arguments):
        return run_program(TOOL, *arguments, cwd=tmp_path)
    return run


@pytest.fixture
def save(tmp_path):
    """Write a json; its path."""
    def write(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path
    return write


@pytest.fixture
def exchange(save, tmp_path):
    """Two objects of four frames whose tracks are exchanged in the third.

    Returns the results, the ground truth and the folder of the frames. Frames
    are 4 x 4; a third track lies on nothing, and an object is never found.
    """
    truth = ground_truth(
        [annotation(1, [rows(0)] * 4), annotation(2, [rows(3)] * 4, 2),
         annotation(3, [None, rows(1), rows(1), None], 2)],
        length=4, categories=(1, 2))
    found = [result([rows(0)] * 2 + [rows(3)] * 2, .9, 1),
             result([rows(3)] * 2 + [rows(0)] * 2, .8, 1),
             result([rows(2)] * 3 + [None], .5, 2),
             result([rows(2)] * 4, .1, 2)]
    found[0]['bboxes'] = [[0, 0, 4, 1]] * 2 + [[0, 3, 4, 1]] * 2
    found[0]['box_std'] = [[.5, .25, .5, .25]] * 3 + [None]
    for t in range(4):
        path = tmp_path / 'frames' / f'1/{t}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((4, 4, 3), 60 * t, np.uint8))
    return (save('results.json', found), save('gt.json', truth),
            tmp_path / 'frames')
