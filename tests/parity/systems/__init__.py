"""One module a system: ``compute(fixture)`` on the product's own classes."""
import mmvis_memcnp  # noqa: F401  before mmdet: it fixes mmdet's imports
