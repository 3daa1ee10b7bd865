"""What a file with an exported frame network holds beside the network."""
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from ..errors import UserError

#: Key of the file's metadata; its value is json.
KEY = 'mmvis_memcnp'
#: Output that the next frame is given, where a network has one, and the input
#: by which it is.
CARRIED, BEFORE = 'carried', 'before'


def flat_names(outputs: Any) -> list[tuple[str, Any]]:
    """The tensors of a NamedTuple by name; those of a list are numbered.

    Args:
        outputs (NamedTuple): See ``VIS.network``.
    """
    flat = []
    for name, value in outputs._asdict().items():
        if isinstance(value, (list, tuple)):
            flat += [(f'{name}.{n}', one) for n, one in enumerate(value)]
        elif value is not None:
            flat.append((name, value))
    return flat


def nested(kind: Any, tensors: Mapping[str, Any]) -> Any:
    """The NamedTuple of tensors by name; the inverse of :func:`flat_names`.

    Args:
        kind (type): Of the NamedTuple.
        tensors (Mapping[str, Any]): By name.
    """
    values: dict[str, Any] = dict.fromkeys(kind._fields)
    for name, tensor in tensors.items():
        field, _, number = name.partition('.')
        if number:
            values[field] = [*(values[field] or []), tensor]
        else:
            values[field] = tensor
    return kind(**values)


def fingerprint(model: nn.Module) -> str:
    """Of the names and shapes of all tensors of a model.

    A checkpoint that fits one model fits every one with the same.

    Args:
        model (nn.Module): Weights do not matter.
    """
    shapes = sorted((name, *value.shape)
                    for name, value in model.state_dict().items())
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()


def read_meta(metadata: Mapping[str, str], path: str) -> dict[str, Any]:
    """What ``export_onnx`` wrote beside the network.

    Args:
        metadata (Mapping[str, str]): Of the file.
        path (str): Named in the error.

    Raises:
        UserError: If the file is of another program.
    """
    if KEY not in metadata:
        raise UserError(f'{path} was not written by '
                        'tools/deployment/export_onnx.py: export the '
                        'checkpoint with it.')
    return json.loads(metadata[KEY])
