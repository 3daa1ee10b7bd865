"""Version of the package, the single source that ``setup.cfg`` reads."""
__version__ = '0.1.0'
