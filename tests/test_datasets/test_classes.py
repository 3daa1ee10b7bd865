import pytest
from mmengine.config import Config

from mmvis_memcnp.datasets.classes import (
    KNOWN_LISTS,
    OVIS,
    YOUTUBE_VIS_2019,
    YOUTUBE_VIS_2021,
    check_classes,
    dataset_classes,
    name_of_list,
    sync_num_classes,
)


@pytest.mark.parametrize('classes, size, some', [
    (YOUTUBE_VIS_2019, 40, {1: 'person', 6: 'sedan', 24: 'fox', 36: 'mouse',
                            40: 'tennis_racket'}),
    (YOUTUBE_VIS_2021, 40, {1: 'airplane', 14: 'flying_disc', 26: 'person',
                            39: 'whale', 40: 'zebra'}),
    (OVIS, 25, {1: 'Person', 12: 'Poultry', 21: 'Bicycle', 25: 'Vehical'}),
])
def test_official_ids(classes, size, some):
    assert len(set(classes)) == size
    assert {i: classes[i - 1] for i in some} == some


def test_names_of_lists():
    assert set(map(name_of_list, KNOWN_LISTS.values())) == set(KNOWN_LISTS)
    assert name_of_list(('cat', )) is None


@pytest.mark.parametrize('classes, sentence', [
    ('cat', r"classes=\('cat', \)"),
    ((), 'tuple of class names'),
    (('a', 3), 'tuple of class names'),
    (('a', 'b', 'a'), "'a' more than once"),
])
def test_bad_class_lists(classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_classes(classes)


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
    assert sync_num_classes(cfg) == 3
    head = cfg.model.bbox_head
    assert head.num_classes == 3
    assert head.loss.class_weight == [1.0, 1.0, 1.0, 0.1]
    assert head.other.class_weight == [1.0, 2.0]
    assert cfg.model.stages[0].num_things_classes == 3
    assert cfg.model.stages[0].num_stuff_classes == 0
    assert cfg.model.agnostic.num_classes == 1


def test_the_test_data_alone_decide_too():
    cfg = make_config(test_dataloader=dict(dataset=dict(type='OVIS')))
    assert sync_num_classes(cfg) == 25
    assert cfg.model.bbox_head.num_classes == 25


def test_nothing_is_known():
    cfg = make_config()
    assert sync_num_classes(cfg) is None
    assert cfg.model.bbox_head.num_classes == 40


def test_train_and_test_must_agree():
    cfg = make_config(
        train_dataloader=dict(dataset=dict(type='OVIS')),
        val_dataloader=dict(dataset=dict(type='YouTubeVIS2019')))
    with pytest.raises(ValueError, match='val_dataloader.*train_dataloader'):
        sync_num_classes(cfg)
    assert cfg.model.bbox_head.num_classes == 40
