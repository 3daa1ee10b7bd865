"""Builds the optional compiled operators, and puts configs and tools into an
installation; everything else is in setup.cfg.

MMVIS_BUILD_OPS=auto  (default) build what a compiler works for, otherwise go
                      on without
MMVIS_BUILD_OPS=plain build, if a compiler works, those for run-length codes
                      alone, which takes seconds: what `make env` does
MMVIS_BUILD_OPS=1     build them or fail
MMVIS_BUILD_OPS=0     do not try

Those for run-length codes are plain C++. The others need PyTorch, which is
visible with ``pip install --no-build-isolation -e .``; an isolated build, the
default of pip, goes on without. FORCE_CUDA=1 builds the CUDA operators on a
machine without a GPU.
"""
import importlib.util
import os
import shutil
import warnings
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

MODE = os.environ.get('MMVIS_BUILD_OPS', 'auto')
if MODE not in ('auto', 'plain', '0', '1'):
    raise SystemExit(
        f'MMVIS_BUILD_OPS must be auto, plain, 0 or 1, not {MODE!r}.')

SOURCES = Path('mmvis_memcnp/ops/csrc')

#: What of a checkout goes into the folder .mim of an installation, where
#: `mmvis`, `VISInferencer.from_name` and OpenMMLab's mim look for it.
SHIPPED = ('configs', 'tools', 'demo', 'model-index.yml')


class BuildWithConfigs(build_py):
    """Copies configs, tools and demo into the package that is built.

    An editable installation has them in its checkout.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'mmvis_memcnp/.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in SHIPPED:
            if Path(name).is_dir():
                shutil.copytree(name, target / name,
                                ignore=shutil.ignore_patterns(
                                    '__pycache__', '.*'))
            else:
                shutil.copy(name, target / name)


def mmcv_headers() -> list[str]:
    """Folder of mmcv's helper headers, none if mmcv does not bring them."""
    spec = importlib.util.find_spec('mmcv')
    if spec is None or spec.origin is None:
        return []
    common = Path(spec.origin).parent / 'ops/csrc/common'
    names = ('pytorch_cpp_helper.hpp', 'pytorch_device_registry.hpp')
    complete = all((common / name).exists() for name in names)
    return [str(common)] if complete else []


def plain_functions() -> list[Extension]:
    """A library that ctypes loads; it is no module of Python."""
    if os.name != 'posix':
        return []
    folder = Path('mmvis_memcnp/results/csrc')
    return [Extension(
        'mmvis_memcnp.results._compiled',
        [str(p) for p in sorted(folder.glob('*.cpp'))],
        extra_compile_args=['-O2', '-g0', '-std=c++17', '-fvisibility=hidden'],
        optional=MODE != '1')]


def build_arguments() -> dict:
    """``ext_modules`` and ``cmdclass`` of setup()."""
    import torch
    from torch.utils import cpp_extension

    class BuildOps(cpp_extension.BuildExtension):
        """In auto mode, a failed build is a warning."""

        def run(self) -> None:
            try:
                super().run()
            except Exception as error:  # whatever compilers raise
                if MODE == '1':
                    raise
                self.extensions = []
                warnings.warn(
                    f'The compiled operators were not built ({error}); their '
                    'PyTorch twins will run.',
                    stacklevel=1)

    with_cuda = (
        torch.version.cuda is not None
        and cpp_extension.CUDA_HOME is not None
        and (torch.cuda.is_available()
             or os.environ.get('FORCE_CUDA') == '1'))
    kind = (cpp_extension.CUDAExtension
            if with_cuda else cpp_extension.CppExtension)
    headers = mmcv_headers()
    macros = [('MMVIS_WITH_CUDA', None)] if with_cuda else []
    macros += [('MMVIS_MMCV_HELPERS', None)] if headers else []
    # No -std: the headers of each PyTorch ask for their own. No debug symbols,
    # which some Pythons ask for: they double the time.
    extension = kind(
        'mmvis_memcnp.ops._C',
        [str(p) for p in sorted(SOURCES.glob('*.cpp'))] +
        [str(p) for p in sorted(SOURCES.glob('*.cu')) if with_cuda],
        include_dirs=headers,
        define_macros=macros,
        extra_compile_args=dict(cxx=['-O2', '-g0'], nvcc=['-O2']),
        py_limited_api=True)
    extension.optional = MODE == 'auto'
    return dict(ext_modules=[extension, *plain_functions()], cmdclass=dict(
        build_py=BuildWithConfigs, build_ext=BuildOps))


def arguments() -> dict:
    without = dict(cmdclass=dict(build_py=BuildWithConfigs))
    if MODE == '0':
        return without
    if MODE == 'plain' or importlib.util.find_spec('torch') is None:
        if MODE == '1':
            raise SystemExit(
                'MMVIS_BUILD_OPS=1 needs PyTorch at build time: install it '
                'first and pass --no-build-isolation to pip.')
        return dict(without, ext_modules=plain_functions())
    return build_arguments()


setup(**arguments())
