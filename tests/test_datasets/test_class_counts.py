"""Class counts of a model follow its data."""
import json
import warnings

import pytest
from mmengine.config import Config

from mmvis_memcnp.datasets.class_counts import (
    class_counts,
    saved_classes,
    sync_classes,
)
from mmvis_memcnp.datasets.classes import OVIS, dataset_classes


def test_classes_of_a_config():
    assert dataset_classes(dict(type='OVIS')) == OVIS
    own = dict(type='OVIS', metainfo=dict(classes=['x', 'y']))
    assert dataset_classes(own) == ('x', 'y')
    assert dataset_classes(dict(type='VISDataset')) is None
    assert dataset_classes(dict(type='Repeat', dataset=own)) == ('x', 'y')
    with pytest.raises(ValueError, match='trained together'):
        dataset_classes(dict(type='C', datasets=[own, dict(type='OVIS')]))


def make_config(**loaders):
    model = dict(
        bbox_head=dict(
            num_classes=40,
            loss=dict(class_weight=[1.0] * 40 + [0.1]),
            other=dict(class_weight=[1.0, 2.0])),
        stages=[dict(num_things_classes=40, num_stuff_classes=0)],
        agnostic=dict(num_classes=1, class_agnostic=True))
    return Config(dict(model=model, **loaders))


def test_the_model_follows_the_data():
    cfg = make_config(
        train_dataloader=dict(
            dataset=dict(
                type='VISDataset', metainfo=dict(classes=('a', 'b', 'c')))))
    assert sync_classes(cfg) == ('a', 'b', 'c')
    head = cfg.model.bbox_head
    assert head.num_classes == 3
    assert head.loss.class_weight == [1.0, 1.0, 1.0, 0.1]
    assert head.other.class_weight == [1.0, 2.0]
    assert cfg.model.stages[0].num_things_classes == 3
    assert cfg.model.stages[0].num_stuff_classes == 0
    assert cfg.model.agnostic.num_classes == 1


def test_the_test_data_alone_decide_too():
    cfg = make_config(test_dataloader=dict(dataset=dict(type='OVIS')))
    assert sync_classes(cfg) == OVIS
    assert cfg.model.bbox_head.num_classes == 25


def test_nothing_is_known():
    cfg = make_config()
    assert sync_classes(cfg) is None
    assert cfg.model.bbox_head.num_classes == 40


def test_train_and_test_must_agree():
    cfg = make_config(
        train_dataloader=dict(dataset=dict(type='OVIS')),
        val_dataloader=dict(dataset=dict(type='YouTubeVIS2019')))
    with pytest.raises(ValueError, match='val_dataloader.*train_dataloader'):
        sync_classes(cfg)
    assert cfg.model.bbox_head.num_classes == 40


def one_loader(*classes, **model):
    """Config of a model and of data with these classes."""
    return Config(dict(model=model, train_dataloader=dict(dataset=dict(
        type='VISDataset', metainfo=dict(classes=classes)))))


@pytest.mark.parametrize('model, expected', [
    # A panoptic head of 80 + 53: everything of a video is a thing.
    (dict(head=dict(num_things_classes=80, num_stuff_classes=53,
                    loss=dict(class_weight=[1.] * 133 + [.1]))),
     dict(head=dict(num_things_classes=2, num_stuff_classes=0,
                    loss=dict(class_weight=[1., 1., .1])))),
    # The counts stand in one part and the weights in another.
    (dict(segmenter=dict(num_classes=80),
          loss_cls=dict(class_weight=[2.] * 80 + [.1])),
     dict(segmenter=dict(num_classes=2),
          loss_cls=dict(class_weight=[2., 2., .1]))),
    # Parts of other counts, each with its weights.
    (dict(a=dict(num_classes=80, class_weight=[1.] * 80 + [.1]),
          b=dict(num_classes=40, class_weight=[1.] * 40 + [.1])),
     dict(a=dict(num_classes=2, class_weight=[1., 1., .1]),
          b=dict(num_classes=2, class_weight=[1., 1., .1]))),
    # Weights of something else, and a number as the weight.
    (dict(num_classes=80, x=dict(class_weight=[1.] * 7), y=dict(
        class_weight=1.)),
     dict(num_classes=2, x=dict(class_weight=[1.] * 7), y=dict(
         class_weight=1.))),
    # The count is right: weights of single classes stay.
    (dict(num_classes=2, class_weight=[1., 3., .1]),
     dict(num_classes=2, class_weight=[1., 3., .1])),
])
def test_heads_with_weights_of_classes(model, expected):
    cfg = one_loader('a', 'b', **model)
    assert sync_classes(cfg) == ('a', 'b')
    assert cfg.model.to_dict() == expected
    assert class_counts(cfg.model) == {2}


def test_weights_of_single_classes_cannot_follow():
    cfg = one_loader('a', 'b', num_classes=3, class_weight=[1., 2., 3., .1])
    with pytest.raises(ValueError, match='give class_weight 3 entries'):
        sync_classes(cfg)


def test_counts_are_found_at_any_depth():
    cfg = dict(num_classes=3, heads=[dict(cls=dict(num_classes=5)), 1],
               panoptic=dict(num_things_classes=4, num_stuff_classes=6,
                             num_classes=1),
               mask=dict(num_classes=9, class_agnostic=True))
    assert class_counts(cfg) == {3, 5, 10}


def test_the_classes_of_a_checkpoint_go_first():
    cfg = make_config(
        train_dataloader=dict(dataset=dict(
            type='Repeat', dataset=dict(type='OVIS'))),
        val_dataloader=dict(dataset=dict(
            type='VISDataset', metainfo=dict(classes=('z', ), era=3))))
    saved = dict(meta=dict(dataset_meta=dict(classes=['a', 'b'])))
    assert saved_classes(saved) == ('a', 'b')
    assert saved_classes(dict(state_dict={})) is None
    with pytest.warns(UserWarning, match='names other classes') as said:
        assert sync_classes(cfg, saved_classes(saved)) == ('a', 'b')
    assert len(said) == 2  # of both loaders
    assert cfg.model.bbox_head.num_classes == 2
    assert cfg.train_dataloader.dataset.dataset.metainfo.classes == ('a', 'b')
    assert cfg.val_dataloader.dataset.metainfo == dict(
        classes=('a', 'b'), era=3)
    with warnings.catch_warnings():  # nothing new, nothing to say
        warnings.simplefilter('error')
        sync_classes(cfg, ('a', 'b'))


def test_the_json_decides_where_nothing_else_does(tmp_path):
    names = ['owl', 'cat', 'ape']
    (tmp_path / 'v.json').write_text(json.dumps(dict(
        videos=[], annotations=[], categories=[
            dict(id=9 - i, name=name) for i, name in enumerate(names)])))
    data = dict(type='VISDataset', data_root=str(tmp_path), ann_file='v.json')
    assert dataset_classes(data) == ('ape', 'cat', 'owl')  # as the ids
    assert dataset_classes(dict(data, metainfo=dict(
        classes=('x', )))) == ('x', )
    assert dataset_classes(dict(data, type='OVIS')) == OVIS
    assert dataset_classes(dict(data, ann_file='gone.json')) is None
    (tmp_path / 'v.json').write_text(json.dumps(dict(videos=[])))
    with pytest.raises(ValueError, match='has no categories'):
        dataset_classes(data)
