"""Which checkpoints of a folder were made by a training of this package.

They are noted as all outputs are: see
:mod:`~mmvis_memcnp.results.ownership`, which compares size and time of change
and reads no checkpoint.
"""
import re
from pathlib import Path

from ..results.ownership import is_noted, is_own, record


def checkpoints(folder: str | Path, template: str | None = None) -> list[Path]:
    """Files with names that a training gives.

    Args:
        folder (str | Path): Where; may be missing.
        template (str | None): ``filename_tmpl`` of the checkpoint hook.
            Defaults to None: ``iter_{}.pth`` and ``epoch_{}.pth``.

    Returns:
        list[Path]: Their paths, and those of the best by a score.
    """
    step = r'(iter|epoch)_\d+\.pth' if template is None else re.escape(
        template).replace(r'\{\}', r'\d+')
    name = re.compile(rf'(best_.+_)?{step}')
    return sorted(path for path in Path(folder).glob('*')
                  if name.fullmatch(path.name))


def of_earlier_version(work_dir: str | Path) -> bool:
    """Whether a training ran here before checkpoints were noted."""
    last = Path(work_dir) / 'last_checkpoint'
    return _names_checkpoint(last) and not is_noted(last)


def strangers(work_dir: str | Path,
              folder: str | Path,
              template: str | None = None) -> list[Path]:
    """What a new training would replace though no training made it.

    Args:
        work_dir (str | Path): Folder of ``last_checkpoint``.
        folder (str | Path): Folder of the checkpoints.
        template (str | None): See :func:`checkpoints`. Defaults to None.

    Returns:
        list[Path]: The paths.
    """
    last = Path(work_dir) / 'last_checkpoint'
    # Users edit the note, to go on from an earlier checkpoint.
    found = [last] if last.exists() and not is_own(
        last) and not _names_checkpoint(last) else []
    if not of_earlier_version(work_dir):
        found += [path for path in checkpoints(folder, template)
                  if not is_own(path)]
    return found


def adopt(work_dir: str | Path,
          folder: str | Path,
          template: str | None = None) -> None:
    """Note what an earlier version left, before a new note hides that.

    Args:
        work_dir, folder, template: See :func:`strangers`.
    """
    if of_earlier_version(work_dir):
        files = checkpoints(folder, template)
        if files:
            record(Path(folder), files)


def _names_checkpoint(last: Path) -> bool:
    try:
        return last.read_text(encoding='utf-8').strip().endswith('.pth')
    except (OSError, UnicodeDecodeError):
        return False
