"""Cross-library configs without ``pkg_resources``.

Cause: mmengine 0.10.7 finds the configs of another library
(``_base_ = ['mmdet::...']``) through ``pkg_resources``, which setuptools 81
removed. :mod:`importlib` of the standard library knows the same.
"""
import importlib.util
import os.path as osp
import sys


def get_installed_path(package: str) -> str:
    """Folder of an importable package.

    Args:
        package (str): Import name, or a distribution's name when it is
            importable under the same name (``mmdet``).

    Returns:
        str: Path of the package's folder.

    Raises:
        ModuleNotFoundError: If no such package can be imported.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f'A config refers to {package!r}, but no such package is '
            'installed; install it or correct the name before "::".')
    return osp.dirname(spec.origin)


def is_installed(package: str) -> bool:
    """Whether ``package`` can be imported."""
    return importlib.util.find_spec(package) is not None


def install() -> None:
    """Replace mmengine's two functions when ``pkg_resources`` is missing."""
    if importlib.util.find_spec('pkg_resources') is not None:
        return
    import mmengine.config.config  # noqa: F401
    import mmengine.utils.package_utils  # noqa: F401
    for function in (get_installed_path, is_installed):
        name = function.__name__
        # mmengine imports the functions by name into several modules.
        for module_name, module in list(sys.modules.items()):
            if module_name.startswith('mmengine') and hasattr(module, name):
                setattr(module, name, function)
