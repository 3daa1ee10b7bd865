"""What OpenCV prints of a tag is no error, and nobody reads it."""
import os

import numpy as np

from mmvis_memcnp.visualization.files import VideoWriter, find_codec
from mmvis_memcnp.visualization.quiet_opencv import quiet_stderr


def test_only_the_block_is_silent(capfd):
    os.write(2, b'before ')
    with quiet_stderr():
        os.write(2, b'within ')
    os.write(2, b'after')
    assert capfd.readouterr().err == 'before after'


def test_a_video_is_written_without_a_word(tmp_path, capfd):
    assert find_codec('vp8') == 'vp8'
    writer = VideoWriter(tmp_path / 'a.webm', 10., (48, 64), 'vp8')
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.close()
    assert capfd.readouterr().err == ''
    assert (tmp_path / 'a.webm').stat().st_size > 0
