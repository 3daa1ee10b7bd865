"""What MemCNP changes in the config of its host, and what it costs."""
import pytest

from .sources import READ
from .trees import build, changes, load


def differences(host: str, ours: str) -> set[str]:
    before, after = (
        {k: v for k, v in load(name).items() if k in READ}
        for name in (host, ours))
    return {key for key, _ in changes(before, after)}


@pytest.mark.parametrize('net', ['r50', 'swin-l'])
def test_idol(net):
    end = f'{net}_8xb4-12k_youtubevis2021'
    assert differences(f'idol/idol_{end}', f'idol/idol-memcnp_{end}') == {
        'model.memcnp'}
    # The released IDOL has half as many clips a step on OVIS.
    assert differences(f'idol/idol_{net}_8xb2-12k_ovis',
                       f'idol/idol-memcnp_{net}_8xb4-12k_ovis') == {
        'model.memcnp', 'train_dataloader.batch_size',
        'auto_scale_lr.base_batch_size'}


@pytest.mark.parametrize('net', ['r50', 'vit-b'])
def test_sipmask_like_for_like(net):
    found = differences(
        f'sipmask/ablations/sipmask_{net}_table4-memcnp-pipeline_'
        'youtubevis2021',
        f'sipmask/sipmask-memcnp_{net}_fpn_8xb8-12e_youtubevis2021')
    assert found and all(key.startswith(
        ('model.bbox_head', 'model.tracker.association')) for key in found)


@pytest.mark.parametrize('net', ['r50', 'swin-l'])
def test_seqformer(net):
    end = f'{net}_8xb2-12k_youtubevis2021'
    assert differences(
        f'seqformer/seqformer_{end}', f'seqformer/seqformer-memcnp_{end}') == {
            'model.memcnp'}


@pytest.mark.parametrize('net, data', [
    *(('r50', d) for d in ('youtubevis2019', 'youtubevis2021',
                           'youtubevis2022', 'ovis')),
    *(('swin-l', d) for d in ('youtubevis2019', 'youtubevis2021', 'ovis'))])
def test_dvis_daq(net, data):
    end = f'160k-coco-joint_{data}'
    # Two clips a GPU: MemCNP paper, 4.1.
    assert differences(f'dvis_daq/dvis-daq_{net}_8xb1-{end}',
                       f'dvis_daq/dvis-daq-memcnp_{net}_8xb2-{end}') == {
        'model.memcnp', 'train_dataloader.batch_size',
        'auto_scale_lr.base_batch_size'}


def test_what_it_adds_to_the_tracker_of_dvis_daq():
    """Table 1: 23.5, 20.7, 18.9 and 63.1 M, whose neck is both decoders. In
    the official ResNet the norms have no parameters."""
    end = '160k-coco-joint_youtubevis2021'
    plain, memcnp = (
        {k: sum(p.numel() for p in part.parameters())
         for k, part in build(f'dvis_daq/{name}-{end}').parts().items()}
        for name in ('dvis-daq_r50_8xb1', 'dvis-daq-memcnp_r50_8xb2'))
    added = {k: n - plain.get(k, 0) for k, n in memcnp.items()}
    assert {k for k, n in added.items() if n} == {'tracker'}
    assert 0.264e6 <= added['tracker'] <= 0.322e6
    assert round(memcnp['tracker'] / 1e6, 1) == 18.9
    neck = sum(memcnp[k] for k in ('pixel_decoder', 'decoder', 'embed_head'))
    assert round(neck / 1e6, 1) == 20.7
    assert round((sum(memcnp.values()) - 53120) / 1e6, 1) == 63.1


@pytest.mark.parametrize('host, ours', [
    ('idol/idol_r50_8xb4-12k_youtubevis2021',
     'idol/idol-memcnp_r50_8xb4-12k_youtubevis2021'),
    ('idol/idol_swin-l_8xb4-12k_youtubevis2021',
     'idol/idol-memcnp_swin-l_8xb4-12k_youtubevis2021'),
    ('seqformer/seqformer_r50_8xb2-12k_youtubevis2021',
     'seqformer/seqformer-memcnp_r50_8xb2-12k_youtubevis2021')])
def test_it_adds_a_million_parameters_to_a_host_with_queries(host, ours):
    plain, memcnp = (
        sum(p.numel() for p in build(name).parameters() if p.requires_grad)
        for name in (host, ours))
    assert 0.9e6 < memcnp - plain < 1.4e6


def test_idol_differs_between_networks_in_backbone_and_projection_alone():
    """What idol/sources.yml says of the two totals in Table 1, either of
    which asks for an addition of MemCNP that the other excludes."""
    shapes, counts = [], []
    for net in ('r50', 'swin-l'):
        model = build(f'idol/idol_{net}_8xb4-12k_youtubevis2021')
        shapes.append({n: p.shape for n, p in model.named_parameters()
                       if not n.startswith(
                           ('segmenter.backbone.', 'segmenter.neck.'))})
        counts.append(sum(p.numel() for p in model.parameters()
                          if p.requires_grad))
    assert shapes[0] == shapes[1]
    r50, swin = counts
    assert swin - r50 == 170_559_284
    added = 44.0e6 - 0.05e6 - r50, 214.4e6 + 0.05e6 - swin
    assert added[0] > added[1]
