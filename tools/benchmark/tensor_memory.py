"""The most memory that tensors take at a time, on any device, to the byte."""
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TensorMemory(TorchDispatchMode):
    """Counts the tensors that operators make within it, until they are freed.

    What libraries take inside an operator, and tensors that are there before,
    are not counted. Compiled graphs hide their operators.

    Attributes:
        tensors (int): Bytes now.
        most_tensors (int): Bytes at most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tensors = self.most_tensors = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Callable, types: Sequence,
                           args: tuple = (), kwargs: dict | None = None
                           ) -> Any:
        """Run an operator and count what it made."""
        out = func(*args, **(kwargs or {}))
        for leaf in (out, ) if isinstance(out, Tensor) else tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        """Once for all views of a tensor."""
        key, size = storage.data_ptr(), storage.nbytes()
        if key and key not in self._alive:
            self.tensors += size
            self.most_tensors = max(self.most_tensors, self.tensors)
            self._alive.add(key)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.tensors -= size
