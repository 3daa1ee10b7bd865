"""Sessions in a file: a video is left in the middle and taken up later."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import SavedFileError
from ...results.saved_values import (
    OtherVersionError,
    as_bytes,
    reading,
    set_state,
    state_of,
    writing,
)
from ...results.sinks import Sink, pack_record, unpack_records
from ...version import __version__
from .base import VIS
from .session import Session

#: Of the file; what reads another refuses it.
FORMAT = 1
_RECORDS = 'records'


def save_session(session: Session, path: str | Path, overwrite: bool = False,
                 extra: Mapping[str, Any] | None = None) -> None:
    """Write a session to a file, from which :func:`restore_session` goes on.

    The file holds all results so far, too. It holds neither weights nor the
    config.

    Args:
        session (Session): In mid-video; it may go on.
        path (str | Path): The file.
        overwrite (bool): Whether a file that was made here may be replaced.
            Defaults to False.
        extra (Mapping, optional): Plain values of the caller.

    Raises:
        OutputError: If the file may not be written.
        TypeError: If the state of the system is not ``saveable``.
    """
    model = session.model
    assert isinstance(model, VIS)
    with writing(path, overwrite) as file:
        file.add(dict(
            format=FORMAT, version=__version__, extra=dict(extra or {}),
            system=type(model).__name__, weights=weights_digest(model),
            video_meta=dict(session.video_meta), state=session.state,
            parts=_types(session), session=state_of(session),
            **{name: state_of(part)
               for name, part in _parts(session).items()}))
        file.add_bytes(_RECORDS, map(pack_record, session.store.sink.scan()))


def restore_session(model: VIS, path: str | Path, sink: Sink | None = None,
                    check: Callable[[dict[str, Any]], None] | None = None
                    ) -> tuple[Session, dict[str, Any]]:
    """The session of a file.

    Args:
        model (VIS): With the weights and the options of the one whose session
            was saved; on any device.
        path (str | Path): See :func:`save_session`; nothing in it is
            executed.
        sink (Sink, optional): Empty; gets the results so far. In memory by
            default.
        check (Callable, optional): Raises if the ``extra`` values do not fit;
            called before the weights are compared.

    Returns:
        tuple[Session, dict]: It goes on as the one that was saved would have,
        and the ``extra`` values.

    Raises:
        FileNotFoundError: If there is no such file.
        SavedFileError: If it is damaged, or of another model or version.
    """
    device = 'cpu' if model.exported else next(model.parameters()).device
    with reading(path) as file:
        version = file.get('version')
        try:
            if file.get('format') != FORMAT:
                raise OtherVersionError
            _check_system(model, file.get('system'), path)
            if check is not None:
                check(file.get('extra'))
            _check_weights(model, file.get('weights'), path)
            session = model.session(file.get('video_meta'), sink)
            if file.get('parts') != _types(session):
                raise SavedFileError(
                    f'{path} was saved with {_listed(file.get("parts"))}, but '
                    f'this model has {_listed(_types(session))}: restore it '
                    'with its own config.')
            session.state = file.get('state', device)
            if file.get('parts') != _types(session):
                raise ValueError('its state is of another kind')
            set_state(session, file.get('session'))
            for name, part in _parts(session).items():
                set_state(part, file.get(name, device))
        except OtherVersionError as error:
            raise SavedFileError(
                f'{path} was saved by mmvis_memcnp {version}, whose sessions '
                f'{__version__} does not read: finish the video with that '
                'version.') from error
        with file.open(_RECORDS) as records:
            for record in unpack_records(records):
                session.store.sink.write(record)
        return session, file.get('extra')


def weights_digest(model: VIS) -> str:
    """A number that two models share if all their weights are the same."""
    if model.exported is not None:
        return model.exported.digest()
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.state_dict().items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(as_bytes(value))
    return digest.hexdigest()


def _check_system(model: VIS, system: str, path: str | Path) -> None:
    own = type(model).__name__
    if system != own:
        raise SavedFileError(f'{path} is a session of {system}, not of {own}: '
                             'restore it with its own model.')


def _check_weights(model: VIS, weights: str, path: str | Path) -> None:
    if weights != weights_digest(model):
        raise SavedFileError(f'{path} was saved with other weights of '
                             f'{type(model).__name__}: restore it with the '
                             'checkpoint that it was saved with.')


def _parts(session: Session) -> dict[str, object]:
    """What beside the state knows something of the video."""
    parts = dict(ranking=session.ranking, filter=session.filter,
                 store=session.store)
    return {name: part for name, part in parts.items() if part is not None}


def _types(session: Session) -> dict[str, str]:
    found = dict(_parts(session), state=session.state)
    return {name: type(part).__name__ for name, part in found.items()}


def _listed(types: Mapping[str, str]) -> str:
    return ', '.join(f'{name} {kind}' for name, kind in sorted(types.items())
                     if name != 'store')
