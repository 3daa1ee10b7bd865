"""The `_official` configs: classes of their data, heads of the checkpoints."""
import pytest

from mmvis_memcnp.datasets.class_counts import class_counts
from mmvis_memcnp.datasets.classes import (
    OVIS,
    YOUTUBE_VIS_2019,
    YOUTUBE_VIS_2021,
    dataset_classes,
)

from .trees import NAMES, build, load

#: Official config to the classes that its checkpoint was trained on.
CLASSES = {
    'idol/idol_r50_official': YOUTUBE_VIS_2019,
    'idol/idol_r101_official': YOUTUBE_VIS_2019,
    'idol/idol_r50_official_youtubevis2021': YOUTUBE_VIS_2021,
    'idol/idol_r50_official_ovis': OVIS,
    'seqformer/seqformer_r50_official': YOUTUBE_VIS_2019,
    'seqformer/seqformer_r50_official_youtubevis2021': YOUTUBE_VIS_2021,
    'instanceformer/instanceformer_r50_official': YOUTUBE_VIS_2019,
    'instanceformer/instanceformer_r50_no-memory_official': YOUTUBE_VIS_2019,
    'instanceformer/instanceformer_r50_official_youtubevis2021':
        YOUTUBE_VIS_2021,
    'instanceformer/instanceformer_r50_official_youtubevis2022':
        YOUTUBE_VIS_2021,
    'instanceformer/instanceformer_r50_official_ovis': OVIS,
    **{f'ctvis/ctvis_{backbone}_official{suffix}': classes
       for backbone in ('r50', 'swin-l') for suffix, classes in (
           ('', YOUTUBE_VIS_2019), ('_youtubevis2021', YOUTUBE_VIS_2021),
           ('_ovis', OVIS))},
    **{f'o2vis/o2vis_{backbone}_official{suffix}': classes
       for backbone in ('r50', 'vitl') for suffix, classes in (
           ('', YOUTUBE_VIS_2019), ('_youtubevis2021', YOUTUBE_VIS_2021),
           ('_youtubevis2022', YOUTUBE_VIS_2021), ('_ovis', OVIS))},
    # Trained on 2019; docs/model_zoo.md has the option.
    'sipmask/sipmask_r50_official': YOUTUBE_VIS_2021,
    'sipmask/sipmask-memcnp_r50_official': YOUTUBE_VIS_2021,
    'sipmask/sipmask-memcnp_vit-b_official': YOUTUBE_VIS_2021,
}


def test_all_are_known():
    assert {n for n in NAMES if 'official' in n} == CLASSES.keys()


@pytest.mark.parametrize('name', CLASSES)
def test_classes(name):
    config, classes = load(name), CLASSES[name]
    assert dataset_classes(config['test_dataloader']['dataset']) == classes
    assert class_counts(config['model']) == {len(classes)}


@pytest.mark.parametrize('name, channels', [
    # The released InstanceFormer has an unused category at each end.
    ('instanceformer/instanceformer_r50_official', 42),
    ('instanceformer/instanceformer_r50_official_ovis', 27),
    ('idol/idol_r50_official', 40),
    ('idol/idol_r50_official_ovis', 25),
    ('seqformer/seqformer_r50_official', 40)])
def test_channels_of_the_class_layers(name, channels):
    branches = build(name).segmenter.cls_branches
    assert {len(branch.bias) for branch in branches} == {channels}
