"""No warning about a default of ``torch.meshgrid`` that nobody here can set.

Cause: mmdet 3.3's deformable encoder calls ``torch.meshgrid`` without
``indexing``, for which PyTorch warns once a process. The default is the one
that mmdet means; should PyTorch change it, the parity tests would show.
"""
import warnings


def install() -> None:
    """Leave this one warning out."""
    warnings.filterwarnings(
        'ignore', 'torch.meshgrid: in an upcoming release', UserWarning)
