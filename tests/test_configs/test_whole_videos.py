"""A config that takes videos whole has room for those of its data set."""
from contextlib import nullcontext

import pytest
import torch
from mmdet.registry import MODELS

from mmvis_memcnp.models.backbones.vit_adapter import ViTAdapter
from mmvis_memcnp.models.vis import ClipVIS

from .trees import NAMES, build, config_of, network_of

#: Frames of the longest video; of 2021 and 2022 not known here, and taken as
#: no shorter than those of 2019.
LONGEST = dict(YouTubeVIS2019=36, YouTubeVIS2021=36, YouTubeVIS2022=36,
               OVIS=292)


def padded(side: float) -> int:
    """What the strides divide."""
    return -(-round(side) // 32) * 32


def maps(adapter: ViTAdapter, frames: torch.Tensor) -> list[torch.Tensor]:
    """Of the shapes that it gives, at strides of 4 to 32."""
    return [frames.new_empty(len(frames), adapter.norm1.num_features,
                             *(side // stride for side in frames.shape[2:]))
            for stride in (4, 8, 16, 32)]


def whole() -> dict[str, tuple[str, tuple[int, int], int]]:
    """By name the data set, the size of a 16:9 frame, and the room; one of
    configs that differ in what keeps no maps: backbone, losses, schedule."""
    found = {}
    for name in NAMES:
        cfg = config_of(name)
        model = cfg.model.to_dict()
        data = (cfg.get('test_dataloader') or {}).get('dataset')
        if not data or data.type not in LONGEST or model.get(
                'window') or not issubclass(MODELS.get(model['type']),
                                            ClipVIS):
            continue
        short, = {min(t.scale) for t in data.pipeline[0].transforms
                  if 'scale' in t}
        size = padded(short), padded(short * 16 / 9)
        room = model.get('max_bytes', 4 * 2**30)
        network = network_of(model)
        key = repr((data.type, size, room, network['decoder']
                    if 'decoder' in network else model['type'],
                    model.get('scales'), model.get('refiner')))
        found.setdefault(key, (name, data.type, size, room))
    return {name: rest for name, *rest in found.values()}


@pytest.mark.parametrize('name', CASES := whole())
def test_the_longest_video_fits(name, monkeypatch):
    data, size, room = CASES[name]
    # There is no mixed precision on a device without numbers, and the sizes
    # that ViT-Adapter reads back are numbers.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    monkeypatch.setattr(ViTAdapter, 'forward', maps)
    model = build(name)
    assert model.max_bytes == room
    assert LONGEST[data] * model.bytes_per_frame(size) <= room
