"""The same work for many videos, in one process or several."""
from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Result = TypeVar('Result')
# What forked processes take over: not sent, but there.
_work: Callable[[int], Any] | None = None


def each_video(work: Callable[[int], Result], videos: Iterable[int],
               processes: int = 1) -> Iterator[tuple[int, Result]]:
    """Call a function for every video.

    Args:
        work (Callable): Gets a video id; what it needs besides is shared with
            the processes without a copy.
        videos (Iterable[int]): Video ids.
        processes (int): More of them are quicker, but each needs the memory
            of a video. Where processes cannot be forked there is one.
            Defaults to 1.

    Yields:
        tuple[int, Any]: Video id and result, in the order of the videos.
    """
    global _work
    if processes < 2 or 'fork' not in multiprocessing.get_all_start_methods():
        for video in videos:
            yield video, work(video)
        return
    _work = work
    try:
        with multiprocessing.get_context('fork').Pool(processes) as pool:
            yield from pool.imap(_call, videos, 4)
    finally:
        _work = None


def _call(video: int) -> tuple[int, Any]:
    assert _work is not None
    return video, _work(video)
