"""Runs that begin in the same second must not share their log."""
import pytest

from tests.fakes.programs import forget_runs


@pytest.fixture(autouse=True)
def separate_runs():
    forget_runs()
