"""The class counts of a model follow the data, by one rule for all tools."""
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet.registry import DATASETS
from mmengine.dataset import BaseDataset

from .classes import dataset_classes

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def config_dicts(node: object) -> Iterator[dict]:
    """Every dict in a config tree, the outermost first.

    Args:
        node (dict | list | tuple): Part of a config.

    Yields:
        dict: May be changed in place.
    """
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from config_dicts(child)


def innermost_datasets(dataset: object) -> Iterator[dict]:
    """The data set configs below any wrappers.

    Args:
        dataset (dict | None): Config of a data set: looked through are
            ``dataset=dict(dataset=...)`` and ``datasets=[...]``.

    Yields:
        dict: May be changed in place.
    """
    if not isinstance(dataset, dict):
        return
    inner = dataset.get('datasets') or [dataset.get('dataset')]
    if inner == [None]:
        yield dataset
    for child in inner:
        yield from innermost_datasets(child)


def saved_classes(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Label space that a checkpoint was trained on, if it says so.

    Args:
        checkpoint (Mapping): The loaded file, perhaps with
            ``meta['dataset_meta']['classes']``.

    Returns:
        tuple[str] | None: The class names.
    """
    meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    return tuple(meta.get('classes') or ()) or None


def class_counts(model: object) -> set[int]:
    """The numbers of classes that the parts of a model are configured for.

    Args:
        model (dict): Config of a model.

    Returns:
        set[int]: Every ``num_classes``, and every sum of
        ``num_things_classes`` and ``num_stuff_classes``, at any depth, except
        next to ``class_agnostic=True``.
    """
    counts = map(_class_count, config_dicts(model))
    return {count for count in counts if count is not None}


def sync_classes(
        cfg: dict,
        trained: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """Make every class count of ``cfg['model']`` follow the data.

    The label space is that of the checkpoint, where one is given that says
    it, else that of the data sets (:func:`dataset_classes`), which must
    agree. At any depth of the model, except next to ``class_agnostic=True``,
    ``num_classes`` and ``num_things_classes`` become its length,
    ``num_stuff_classes`` becomes 0, and a ``class_weight`` with one more entry
    than there were classes (the weight of "no object", the last one) gets
    one more than there are.

    Args:
        cfg (dict): Whole config, also a ``Config``; changed in place.
        trained (Sequence[str] | None): Label space of a checkpoint
            (:func:`saved_classes`), which mmengine's data sets get as
            ``metainfo['classes']``; a warning says where they name another.

    Returns:
        tuple[str] | None: The class names; None if nothing says them, and
        then nothing is changed.

    Raises:
        ValueError: If the data sets disagree, or single classes have weights
            of their own and their number changes.
    """
    lists = {}
    for loader in LOADERS:
        dataset = (cfg.get(loader) or {}).get('dataset')
        if trained is not None:
            _rename(dataset, tuple(trained))
        classes = dataset_classes(dataset) if dataset else None
        if classes is not None:
            lists[loader] = classes
    if trained is not None:
        lists = dict(checkpoint=tuple(trained))
    if not lists:
        return None
    first, classes = next(iter(lists.items()))
    for loader, other in lists.items():
        if other != classes:
            raise ValueError(
                f'The data set of {loader} has other classes '
                f'({_outline(other)}) than that of {first} '
                f'({_outline(classes)}); give the data sets of a config the '
                'same metainfo=dict(classes=...).')
    _set_counts(cfg.get('model') or {}, len(classes))
    return classes


def _rename(dataset: dict | None, classes: tuple[str, ...]) -> None:
    """Give the data sets of a loader the classes of a checkpoint."""
    named = dataset_classes(dataset) if dataset else None
    if named is not None and named != classes:
        warnings.warn(
            f'The config names other classes ({_outline(named)}) than the '
            f'checkpoint was trained on ({_outline(classes)}); the '
            "checkpoint's classes are used.", stacklevel=3)
    for part in innermost_datasets(dataset):
        cls = part['type']
        cls = DATASETS.get(cls) if isinstance(cls, str) else cls
        if isinstance(cls, type) and issubclass(cls, BaseDataset):
            part['metainfo'] = dict(
                part.get('metainfo') or {}, classes=classes)


def _outline(classes: Sequence[str]) -> str:
    """A class list in a sentence."""
    more = ', ...' if len(classes) > 3 else ''
    return f'{len(classes)}: {", ".join(classes[:3])}{more}'


def _class_count(node: dict) -> int | None:
    """Number of classes of one part of a model, if it has any."""
    if node.get('class_agnostic'):
        return None
    if 'num_things_classes' in node:
        return node['num_things_classes'] + node.get('num_stuff_classes', 0)
    count = node.get('num_classes')
    return count if isinstance(count, int) else None


def _set_counts(model: dict, count: int) -> None:
    """Set the class counts of a model's config."""
    former = class_counts(model) - {count}
    for node in config_dicts(model):
        weight = node.get('class_weight')
        if isinstance(weight, Sequence) and len(weight) - 1 in former:
            if len(set(weight[:-1])) > 1:
                raise ValueError(
                    f'class_weight has {len(weight) - 1} classes of different '
                    f'weights and the data have {count} classes; give '
                    f'class_weight {count + 1} entries, the last for "no '
                    'object".')
            node['class_weight'] = [weight[0]] * count + [weight[-1]]
    for node in config_dicts(model):
        if _class_count(node) is None:
            continue
        for key, value in (('num_classes', count),
                           ('num_things_classes', count),
                           ('num_stuff_classes', 0)):
            if key in node:
                node[key] = value
