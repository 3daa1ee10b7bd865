"""mmcv's operators without a compiler.

Cause: ``mmcv-lite`` has every Python file of ``mmcv.ops`` but not the
compiled ``mmcv._ext``, without which ``mmdet.models`` cannot be imported; and
no compiled mmcv exists for today's PyTorch. This package stands in for
``mmcv._ext`` with the operators that the models here run, written in plain
PyTorch: the same numbers on the CPU and on a GPU. A compiled ``mmcv._ext``
is used whenever there is one.
"""
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any

from ..announce import announce
from . import deform_conv, focal_loss, ms_deform_attn, nms, roi_align

STAND_INS: dict[str, Callable] = {
    function.__name__: function
    for function in (
        nms.nms,
        roi_align.roi_align_forward,
        roi_align.roi_align_backward,
        deform_conv.deform_conv_forward,
        deform_conv.deform_conv_backward_input,
        deform_conv.deform_conv_backward_parameters,
        deform_conv.modulated_deform_conv_forward,
        deform_conv.modulated_deform_conv_backward,
        ms_deform_attn.ms_deform_attn_forward,
        ms_deform_attn.ms_deform_attn_backward,
        focal_loss.sigmoid_focal_loss_forward,
        focal_loss.sigmoid_focal_loss_backward,
    )
}

_FIX = 'run `make ops` (or install mmcv with its compiled operators)'


class StandIn(types.ModuleType):
    """The module that ``mmcv.ops`` finds as ``mmcv._ext``.

    ``mmcv.ops`` asks for more than a hundred names when it is imported. Every
    name is there; those without a stand-in raise when they are called.

    Args:
        reason (str): Why the compiled module is not used.
    """

    def __init__(self, reason: str) -> None:
        super().__init__('mmcv._ext', __doc__)
        self.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', None)
        self.__file__ = __file__
        self.reason = reason

    def get_compiler_version(self) -> str:
        """What ``mmcv.utils.collect_env`` prints as the compiler."""
        return 'none (PyTorch stand-in)'

    def get_compiling_cuda_version(self) -> str:
        """What ``mmcv.utils.collect_env`` prints as the CUDA version."""
        return 'not available'

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        @functools.wraps(STAND_INS.get(name, _missing))
        def operator(*args: Any, **kwargs: Any) -> Any:
            if name not in STAND_INS:
                _missing(name)
            announce(f'mmcv operators: PyTorch stand-in ({self.reason}); '
                     f'for the compiled ones {_FIX}.')
            return STAND_INS[name](*args, **kwargs)

        setattr(self, name, operator)
        return operator


def _missing(name: str) -> None:
    raise NotImplementedError(
        f'The mmcv operator {name!r} is not compiled here and has no PyTorch '
        f'stand-in; {_FIX}.')


def install() -> None:
    """Put the stand-in in place if the compiled operators cannot be used."""
    if 'mmcv._ext' in sys.modules:
        return
    if importlib.util.find_spec('mmcv._ext') is None:
        reason = 'mmcv._ext is not installed'
    else:
        try:
            importlib.import_module('mmcv._ext')
            announce('mmcv operators: compiled mmcv._ext.')
            return
        except ImportError as error:  # built for another PyTorch
            reason = f'mmcv._ext cannot be loaded: {error}'
    sys.modules['mmcv._ext'] = StandIn(reason)


def stand_in() -> StandIn | None:
    """The stand-in if it is in place, None if compiled operators run."""
    module = sys.modules.get('mmcv._ext')
    return module if isinstance(module, StandIn) else None
