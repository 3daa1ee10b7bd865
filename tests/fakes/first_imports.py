"""Import each module of the package first in a process of its own.

``A,B`` imports B after A. Then all parts must be registered.

The processes are forks of this one, which has loaded all that the package
needs, then forgotten the package: a quarter of a second a module.
"""
import os
import sys
import traceback
from importlib import import_module

import mmdet.registry
import mmengine.registry.root
from mmengine import Registry

import mmvis_memcnp.registration  # noqa: F401

PACKAGE = 'mmvis_memcnp'


def forget() -> None:
    """Undo the import of the package."""
    for place in (mmengine.registry.root, mmdet.registry):
        for registry in vars(place).values():
            if isinstance(registry, Registry):
                for name, part in list(registry.module_dict.items()):
                    if part.__module__.partition('.')[0] == PACKAGE:
                        del registry.module_dict[name]
    # As long as the others are known, nothing is put off.
    for name in list(sys.modules):
        if name.partition('.')[0] == PACKAGE or name in ('mmengine', 'mmcv',
                                                         'mmdet'):
            del sys.modules[name]


def imports(names: str) -> bool:
    """Whether modules can be the first that are imported."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for name in names.split(','):
                module = import_module(name)
                # What was found is what others get, with its own loader.
                assert sys.modules[name] is module
                assert module.__spec__.loader == module.__loader__
            from mmdet.registry import MODELS, TASK_UTILS
            here = import_module(f'{PACKAGE}.models.vis.minvis').MinVIS
            assert MODELS.get('MinVIS') is here
            assert TASK_UTILS.get('TopPairs')
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


if __name__ == '__main__':
    forget()
    print(*[name for name in sys.argv[1:] if not imports(name)])
