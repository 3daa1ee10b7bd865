"""DeformableSegmenter: what IDOL, SeqFormer and InstanceFormer seat."""
import pytest
import torch

from mmvis_memcnp.models.memcnp import MemCNP
from tests.fakes import tiny_idol, tiny_instanceformer, tiny_seqformer

FAMILIES = [tiny_idol, tiny_seqformer, tiny_instanceformer]


@pytest.fixture(scope='module')
def segmenter():
    return tiny_idol.tiny_model().segmenter.eval()


def names(family):
    """Of its tensors, but those of decoder layers."""
    return {n for n in family.tiny_model().segmenter.state_dict()
            if not n.startswith('decoder.')}


def test_every_system_has_the_same_names():
    """So that a stage of training starts the next; decoders differ, and IDOL
    alone tells instances apart."""
    idol, seqformer, instanceformer = map(names, FAMILIES)
    assert seqformer == instanceformer
    assert {n.split('.')[0] for n in idol - seqformer} == {'embed_head'}
    assert seqformer < idol


@pytest.mark.parametrize('family', FAMILIES)
def test_a_system_has_its_parts_and_nothing_twice(family):
    model = family.tiny_model()
    parts = model.parts()
    assert {'backbone', 'neck', 'encoder', 'decoder', 'cls_branches',
            'box_branches', 'mask_branch'} <= parts.keys()
    assert 'segmenter' not in parts
    counted = sum(p.numel() for part in parts.values()
                  for p in part.parameters())
    assert counted == sum(p.numel() for p in model.parameters())


@torch.no_grad()
def test_neighbours_do_not_matter(segmenter):
    """A frame is the same alone, in a batch, and as an item of it."""
    frames, sizes = torch.rand(2, 3, 64, 96), [(64, 96), (40, 96)]
    encoded = segmenter.encode_frames(frames, sizes)
    assert not encoded.padding[0].any() and encoded.padding[1].any()
    features = segmenter.mask_features(encoded)
    items = segmenter.items(frames, [dict(img_shape=s) for s in sizes])
    for t, (item, mask) in enumerate(items):
        alone = segmenter.encode_frames(frames[t:t + 1], sizes[t:t + 1])
        assert torch.equal(item.memory, encoded.memory[t:t + 1])
        assert torch.equal(mask, features[t:t + 1])
        assert torch.allclose(alone.memory, item.memory, atol=1e-5)
        assert torch.allclose(segmenter.mask_features(alone), mask, atol=1e-5)


@torch.no_grad()
def test_masks_of_clips_are_those_of_their_frames(segmenter):
    """One query in T frames is T queries of a frame each."""
    features = torch.rand(4, 8, 8, 12)
    queries, points = torch.rand(3, 32), torch.rand(3, 2, 2) * 64
    frames = torch.tensor([[0, 1], [2, 3], [3, 0]])
    clips = segmenter.mask_logits(features, queries, points, frames)
    assert clips.shape == (3, 2, 16, 24)
    for t in range(2):
        single = segmenter.mask_logits(features, queries, points[:, t],
                                       frames[:, t])
        assert torch.allclose(clips[:, t], single, atol=1e-6)
    assert not torch.allclose(clips[:, 0], clips[:, 1])


@torch.no_grad()
def test_the_last_layers_have_the_last_branches(segmenter):
    queries = torch.rand(2, 1, 12, 32)
    logits = segmenter.class_logits(queries)
    assert logits.shape == (2, 1, 12, 3)
    assert torch.equal(segmenter.class_logits(queries[-1:]), logits[-1:])
    assert torch.equal(logits[0], segmenter.cls_branches[0](queries[0]))
    with torch.autocast('cpu', torch.bfloat16):
        rough = segmenter.class_logits(queries)
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, logits, atol=.1)


def test_channels_of_no_class_are_left_out():
    model = tiny_instanceformer.tiny_model(segmenter=dict(class_offset=1))
    segmenter = model.segmenter
    assert segmenter.class_channels == 5
    channels = torch.arange(10.).view(2, 5)
    assert segmenter.of_classes(channels).tolist() == [[1, 2, 3], [6, 7, 8]]


def test_the_memory_stays_the_systems():
    """Its tensors stand once; branches predict sigmas when they read it."""
    segmenter = tiny_idol.tiny_model().segmenter
    memory = MemCNP(num_items=3, feat_dims=32, readout='raw')
    segmenter.use_memory(memory)
    assert not any('items' in n for n in segmenter.state_dict())
    query = torch.rand(2, 12, 32)
    for branch in segmenter.boxes_by(memory):
        assert branch(query).sigma.shape == (2, 12, 4)
    plain = tiny_idol.tiny_model().segmenter.boxes_by(None)
    assert all(branch(query).sigma is None for branch in plain)


def test_idol_needs_embeddings():
    with pytest.raises(ValueError, match='set embed_dims of the segmenter'):
        tiny_idol.tiny_model(segmenter=dict(embed_dims=None))
