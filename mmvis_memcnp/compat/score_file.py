"""The json with the scores of a test, written by one process.

Cause: mmengine's ``LoggerHook`` writes it in every process of a distributed
test, all into the same file and at the same moment; now and then one ends in
the middle of the other.
"""
import functools

from mmengine.dist import master_only
from mmengine.hooks import logger_hook


def install() -> None:
    """Let the first process write alone; harmless where it does already."""
    if not hasattr(logger_hook.dump, '__wrapped__'):
        dump = logger_hook.dump
        logger_hook.dump = functools.wraps(dump)(master_only(dump))
