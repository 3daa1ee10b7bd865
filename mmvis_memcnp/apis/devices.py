"""Where a model runs."""
import torch


def choose_device(name: str = 'auto') -> torch.device:
    """A device that PyTorch can use here.

    Args:
        name (str): ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or another kind that
            PyTorch knows; ``'auto'`` takes a GPU if there is one. Defaults
            to ``'auto'``.

    Returns:
        torch.device: The device.

    Raises:
        ValueError: If there is no such device.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'There is no device called {name!r}: use auto, cpu, '
                         'cuda or cuda:N.') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'The device is {name}, but PyTorch '
                         f'{torch.__version__} sees no GPU here: use cpu, or '
                         "install PyTorch's CUDA build on a machine with a "
                         'driver.')
    count = torch.cuda.device_count()
    if device.type == 'cuda' and (device.index or 0) >= count:
        raise ValueError(f'The device is {name}, but there are {count} GPUs, '
                         f'counted from 0: use cuda:0 to cuda:{count - 1}.')
    try:
        # Copying back tells a device from one that holds no numbers.
        torch.zeros(1, device=device).cpu()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f'PyTorch {torch.__version__} cannot use the device '
                         f'{name} here: use auto, cpu, cuda or cuda:N.'
                         ) from error
    return device
