"""Work off the main thread: frames read ahead, results written behind.

Queues are bounded, so that memory is, too; an error comes out in the main
thread, in its turn.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from ..results.files import undisturbed

Value = TypeVar('Value')


def chunks(items: Iterable[Value],
           size: int) -> Generator[list[Value], None, None]:
    """Neighbours together.

    Args:
        items (Iterable): In order.
        size (int): How many, at least 1; the last list may be shorter.

    Yields:
        list: Up to ``size`` items.
    """
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def read_ahead(items: Iterable[Value],
               size: int) -> Generator[Value, None, None]:
    """The same items, taken by another thread while the caller works.

    Args:
        items (Iterable): In order; touched by the other thread alone.
        size (int): How many may wait, at least 1; more bridge longer pauses
            and take more memory.

    Yields:
        The items; what taking one raises is raised in its place.
    """
    left, end = iter(items), object()
    with _ended(ThreadPoolExecutor(1, 'read_ahead')) as pool:
        waiting = deque(pool.submit(next, left, end) for _ in range(size))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, left, end))
            yield item  # type: ignore[misc]  # not the end


class Background:
    """Calls one function after another on a thread of its own.

    Used as a context manager. At the end of the block all calls are done; if
    it raises, the one that runs is, and those that wait are dropped.

    Args:
        size (int): How many calls may wait; :meth:`submit` then blocks.

    Raises:
        Exception: What a call raised, by the next :meth:`submit` or the end of
            the block. Calls that waited behind it are dropped.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Future] = deque()
        self._failed = False
        self._pool = ThreadPoolExecutor(1, 'background')

    def __enter__(self) -> Background:
        return self

    def submit(self, call: Callable[..., Value], *args: Any) -> Future[Value]:
        """Call it when those before are done.

        Args:
            call (Callable): The function.
            args: Its arguments, which must not be changed any more.

        Returns:
            Future: Of what it returns.
        """
        self._take(self._size)
        future = self._pool.submit(self._guarded, call, args)
        self._waiting.append(future)
        return future

    def _guarded(self, call: Callable[..., Value], args: tuple) -> Value:
        """Nothing is done after a failure: what follows builds on it."""
        if self._failed:
            raise RuntimeError('a call before failed')
        try:
            return call(*args)
        except BaseException:
            self._failed = True
            raise

    def wait(self) -> None:
        """Until all calls are done."""
        self._take(0)

    def _take(self, left: int) -> None:
        """Look at the oldest results until so many are left, and at those
        that are there."""
        while self._waiting and (len(self._waiting) > left
                                 or self._waiting[0].done()):
            self._waiting[0].result()
            self._waiting.popleft()

    def __exit__(self, kind: type | None, *_: object) -> None:
        with _ended(self._pool):
            if kind is None:
                self.wait()


class _ended:
    """A pool whose thread is gone after the block, signals or not."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def __enter__(self) -> ThreadPoolExecutor:
        return self._pool

    def __exit__(self, *_: object) -> None:
        with undisturbed():
            self._pool.shutdown(cancel_futures=True)
