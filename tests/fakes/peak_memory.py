"""The most memory that code holds at a time, to the byte.

That of the whole process would not do for small models: Python and PyTorch
alone take hundreds of MiB, beside which a list that grows is not seen.
"""
import gc
import sys
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] /
                       'tools/benchmark'))

from tensor_memory import TensorMemory  # noqa: E402


class PeakMemory(TensorMemory):
    """Counts tensors that are made within it, until they are freed, and all
    else that Python and NumPy allocate meanwhile."""

    def __enter__(self):
        gc.collect()
        gc.freeze()  # or each most() looks through all that is imported
        tracemalloc.start()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        tracemalloc.stop()
        gc.unfreeze()

    def most(self) -> int:
        """Bytes of tensors and of all else, each at most since the beginning.

        To be called often: what only the collector frees would be counted.
        """
        gc.collect()
        return self.most_tensors + tracemalloc.get_traced_memory()[1]
