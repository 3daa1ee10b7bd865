"""The most memory that code holds at a time, to the byte.

That of the whole process would not do for small models: Python and PyTorch
alone take hundreds of MiB, beside which a list that grows is not seen.
"""
import gc
import tracemalloc
import weakref

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Counts tensors that are made within it, until they are freed, and all
    else that Python and NumPy allocate meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors = self.most_tensors = 0
        self.alive: set[int] = set()

    def __enter__(self):
        gc.collect()
        gc.freeze()  # or each most() looks through all that is imported
        tracemalloc.start()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        tracemalloc.stop()
        gc.unfreeze()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in (out, ) if isinstance(out, Tensor) else tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.count(leaf.untyped_storage())
        return out

    def count(self, storage) -> None:
        """Once for all views of a tensor."""
        key, size = storage.data_ptr(), storage.nbytes()
        if key and key not in self.alive:
            self.tensors += size
            self.most_tensors = max(self.most_tensors, self.tensors)
            self.alive.add(key)
            weakref.finalize(storage, self.forget, key, size)

    def forget(self, key: int, size: int) -> None:
        """A tensor was freed."""
        self.alive.discard(key)
        self.tensors -= size

    def most(self) -> int:
        """Bytes of tensors and of all else, each at most since the beginning.

        To be called often: what only the collector frees would be counted.
        """
        gc.collect()
        return self.most_tensors + tracemalloc.get_traced_memory()[1]
