"""Kinds of annotation files that are taken for one another."""
from pathlib import Path

from ..results.json_rules import check_faults, parse_json


def flavour(data: object) -> str:
    """Say what kind of annotation file a parsed json is.

    Returns:
        'ytvis' (videos, and tracks with per-frame lists), 'mmdet' (converted
        by mmdet's youtubevis2coco.py: videos and images), 'coco' (images,
        no videos), 'results' (a list, as evaluation servers take it) or
        'unknown'.
    """
    if isinstance(data, list):
        is_result = data and isinstance(data[0], dict) and 'score' in data[0]
        return 'results' if is_result else 'unknown'
    if not isinstance(data, dict):
        return 'unknown'
    if 'images' in data:
        return 'mmdet' if 'videos' in data else 'coco'
    return 'ytvis' if 'videos' in data else 'unknown'


FLAVOUR_FIXES = {
    'mmdet':
    "was converted by mmdet's youtubevis2coco.py (it lists images next to "
    'videos); give the json as released, it is read without conversion, or '
    'convert it with tools/dataset_converters/coco_video2ytvis.py',
    'coco':
    'is a COCO json of still images (images, no videos); this data set needs '
    'a YouTube-VIS style json (videos with file_names, and tracks)',
    'results':
    'is a results file (a list of scored tracks), not an annotation file',
    'unknown':
    "is not an annotation file: it has no 'videos'; a YouTube-VIS style json "
    'has videos, categories and annotations',
}


def parse_ytvis_json(path: str | Path) -> dict:
    """Content of a YouTube-VIS style json, as it stands there.

    Raises:
        ValueError: If it cannot be read, is not json, of another flavour, or
            against a rule that all readers keep
            (:mod:`mmvis_memcnp.results.json_rules`).
    """
    data = parse_json(path)
    kind = flavour(data)
    if kind != 'ytvis':
        raise ValueError(f'{path} {FLAVOUR_FIXES[kind]}.')
    check_faults(data, str(path))
    return data
