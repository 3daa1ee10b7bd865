"""The same work for many videos, in one process or several."""
from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import TypeVar

Result = TypeVar('Result')

#: What a terminal or the process that waits sends to end a helper.
STOPS = {signal.SIGINT, signal.SIGTERM}


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
    if processes > 1:
        videos = list(videos)
        shares = in_processes(
            lambda k: [work(video) for video in videos[k::processes]],
            processes)
        if shares is not None:
            for i, video in enumerate(videos):
                yield video, shares[i % processes][i // processes]
            return
    for video in videos:
        yield video, work(video)


def in_processes(work: Callable[[int], Result],
                 processes: int) -> list[Result] | None:
    """Call a function in several processes, one of them this one.

    Args:
        work (Callable): Gets the number of the process, from 0; what it needs
            besides is there, as in this process. Its result is sent back.
        processes (int): How many.

    Returns:
        list[Any] | None: The results. None if processes cannot be forked, or
        if one failed, for whatever reason: do the work in one, which then
        says why.
    """
    if 'fork' not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context('fork')
    helpers, answers = [], []
    # What is there is not searched for garbage, which would copy it.
    gc.freeze()
    try:
        for number in range(1, processes):
            answer, end = context.Pipe(duplex=False)
            helper = context.Process(target=_help, args=(work, number, end),
                                     daemon=True)
            # Until it has let go of this process's handlers, which would
            # raise there, and be seen.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
            try:
                helper.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            helpers.append(helper)
            answers.append(answer)
            end.close()  # only the helper has it, and may close it by dying
        return [work(0), *(answer.recv() for answer in answers)]
    except Exception as error:  # whatever the work raises, or EOFError
        logging.getLogger(__name__).debug('a process failed', exc_info=error)
        return None
    finally:
        gc.unfreeze()
        for helper in helpers:
            helper.terminate()
        for helper, answer in zip(helpers, answers, strict=True):
            answer.close()
            helper.join()


def _help(work: Callable[[int], object], number: int,
          end: Connection) -> None:
    """Do one share and send the result; nothing on failure."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    try:
        end.send(work(number))
    finally:
        # No traceback: who waits does it again and says what is wrong.
        end.close()
        os._exit(0)
