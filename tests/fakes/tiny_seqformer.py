"""SeqFormer small enough for a test, and a clip system with known answers."""
import gc
from pathlib import Path
from types import ModuleType

import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmvis_memcnp  # noqa: F401  before mmdet: it fixes its imports
from mmvis_memcnp.models.vis import ClipVIS
from tests.fakes.tiny_sipmask import frame, noise

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/_base_/models'
#: One object a line: identity, label, x1, y1, x2, y2; a list a frame.
OBJECTS = [[(3, 0, 4, 6, 30, 40), (8, 2, 34, 10, 60, 50)],
           [(8, 2, 30, 12, 56, 52)],
           [(3, 0, 6, 6, 32, 40), (8, 2, 28, 12, 54, 52)]]
#: With the memory, by whatever keys a config has it.
MEMCNP = CONFIGS.parents[1] / 'seqformer/seqformer-memcnp_r18_movingshapes.py'


def tiny_config(file=CONFIGS / 'seqformer_r18_small.py', **model):
    """Model config of 3 classes and 12 queries; settings are replaced.

    Args:
        file: the config that is scaled down.
        model: settings.
    """
    cfg = Config.fromfile(file)
    parts = dict(num_layers=2, embed_dims=32, num_heads=4,
                 feedforward_channels=48, dropout=0.)
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(base_channels=8, norm_eval=True, init_cfg=None),
                neck=dict(in_channels=[16, 32, 64], out_channels=32,
                          norm_cfg=dict(num_groups=8)),
                encoder=parts,
                decoder=parts,
                mask_branch=dict(in_channels=32, hidden_channels=16),
                num_classes=3,
                num_queries=12,
                top_k=4,
                ranking=dict(type='LatestClass', score_thr=0.))))
    cfg.model.update(model)
    return cfg.model


def tiny_model(seed=0, **model):
    """The model, in training mode, queries apart from each other."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    built = MODELS.build(tiny_config(**model))
    built.init_weights()
    for branch in built.box_branches:  # boxes that differ
        torch.nn.init.normal_(branch.last.weight, std=.1)
    for branch in built.cls_branches:
        torch.nn.init.normal_(branch.weight, std=.3)
        torch.nn.init.zeros_(branch.bias)
    return built.train()


def clip(objects=OBJECTS, size=(64, 64), seed=0):
    """Annotated frames as a dataset gives them."""
    sample = TrackDataSample()
    sample.video_data_samples = [
        frame(o, size, t) for t, o in enumerate(objects)
    ]
    return noise(len(objects), size, seed), sample


def total(values):
    """What is minimised: as mmengine sums losses, all layers."""
    return sum(v for k, v in values.items() if 'loss' in k)


@MODELS.register_module()
class BrightClips(ClipVIS):
    """One instance a colour channel: where it is bright in each frame.

    A window's class scores are the share of bright pixels of each channel.
    ``decoded`` counts the frames of every call.
    """

    def __init__(self, num_classes=3, max_bytes=2**20, **kwargs):
        super().__init__(max_bytes=max_bytes, **kwargs)
        self.backbone = torch.nn.Conv2d(3, 3, 1)
        self.encoded, self.decoded = [], []

    def encode(self, frames, metas):
        self.encoded.append(len(frames))
        return list(frames / 25.5 - 5)

    def decode(self, encoded, metas):
        self.decoded.append(len(encoded))
        logits = torch.stack(encoded, 1)[:, :, ::4, ::4]
        found = logits.flatten(1).amax(1) > 0
        share = (logits > 0).float().mean((1, 2, 3))
        boxes = torch.tensor([0., 0., 8., 8.]).repeat(3, len(encoded), 1)
        return InstanceData(
            mask_logits=logits[found], class_scores=share.diag()[found],
            bboxes=boxes[found])

    def bytes_per_frame(self, input_hw):
        return 12 * input_hw[0] * input_hw[1]

    def _forward(self, inputs):
        return self.backbone(inputs.flatten(0, 1))


def metas(count, size=(32, 32)):
    """Sizes of frames, as a session gets them."""
    return [dict(img_shape=size, ori_shape=size, scale_factor=(1., 1.),
                 frame_id=t) for t in range(count)]


def kept_bytes(session):
    """Bytes of all tensors that the session leads to."""
    seen, found, ahead = set(), {}, [vars(session)]
    while ahead:
        item = ahead.pop()
        if id(item) in seen or isinstance(item, (type, ModuleType)):
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            storage = item.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif not callable(item):
            ahead += gc.get_referents(item)
    return sum(found.values())
