"""Some of the videos of a YouTube-VIS style json."""
from __future__ import annotations

import hashlib
from collections.abc import Collection


def choose(ids: list[int], count: int, seed: int) -> list[int]:
    """Draw videos, the same ones on every machine and for ever.

    Args:
        ids: Video ids.
        count: How many to draw, at least 1, and fewer than there are or all.
        seed: Another seed, another choice.

    Returns:
        Ids in ascending order.

    Raises:
        ValueError: If there are not that many.
    """
    if not 0 < count <= len(ids):
        raise ValueError(f'{count} of {len(ids)} videos cannot be drawn; take '
                         f'a number from 1 to {len(ids)}.')

    def lot(video_id: int) -> bytes:
        return hashlib.sha256(f'{seed}:{video_id}'.encode()).digest()

    return sorted(sorted(ids, key=lot)[:count])


def hash_ids(ids: list[int]) -> str:
    """SHA-256 of a list of ids, decimal, one a line."""
    return hashlib.sha256('\n'.join(map(str, ids)).encode()).hexdigest()


def select(data: dict, ids: set[int]) -> dict:
    """The json with the videos of these ids and their tracks alone."""
    return {
        **data, 'videos': [v for v in data['videos'] if v['id'] in ids],
        'annotations': [
            a for a in data.get('annotations') or [] if a['video_id'] in ids
        ]
    }


def of_classes(data: dict, names: Collection[str]) -> list[int]:
    """Ids of the videos that have objects, all of them of some classes.

    Args:
        data: The json.
        names: Of the classes; upper and lower case are one.

    Raises:
        ValueError: If the json has none of the classes.
    """
    wanted = {name.lower() for name in names}
    kept = {c['id'] for c in data.get('categories') or []
            if c['name'].lower() in wanted}
    if not kept:
        raise ValueError('the json has none of the classes '
                         f'{", ".join(sorted(names))}.')
    found: set[int] = set()
    wrong: set[int] = set()
    for track in data.get('annotations') or []:
        (found if track['category_id'] in kept else wrong).add(
            track['video_id'])
    return sorted(found - wrong)
