"""Clip-to-clip matching alone, on stored windows."""
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData

from mmvis_memcnp.models.trackers import ClipMatching
from tests.parity.entries import ManifestError
from tests.parity.fixture import Fixture

FIXED = dict(fuse='mean of mask logits and class probabilities over windows',
             mask_thr=0.0, mask_resize='bilinear to ori_hw, logits > 0, '
             'uncovered frame = empty')


def compute(fixture: Fixture) -> dict:
    """Every array of a clip matching fixture."""
    part, file = 'matching', 'outputs.npz'
    test = fixture.run['test']
    for key, value in FIXED.items():
        if test[key] != value:
            raise ManifestError(f'test.{key} is {test[key]!r}; supported: '
                                f'{value!r}')
    matching = ClipMatching(test['clip_length'], test['clip_stride'],
                            test['match_thr'])
    state = matching.start()
    given = fixture.arrays(part)
    out, fused, classes = {}, [], {}

    def settle(stop: int) -> None:
        while len(fused) < stop:
            fused.append(matching.fuse(state, len(fused)))
            classes.update(zip(fused[-1].instances_id.tolist(),
                               fused[-1].class_scores.numpy(), strict=True))
        matching.settle(state, stop)

    for i, frames in given['frames'].items():
        start = int(frames[0])
        window = InstanceData(
            mask_logits=torch.from_numpy(given['mask_logits'][i]),
            class_scores=torch.from_numpy(given['class_probs'][i]))
        if i:
            alike = np.zeros((state.next_id, len(window)), np.float32)
            alike[state.ids] = matching.soft_iou(state, start,
                                                 window.mask_logits)
            out[part, file, f'clip{i}_siou'] = alike
        ids = matching.step(state, start, window)
        out[part, file, f'clip{i}_assigned'] = ids.numpy()
        settle(start + 1)
    settle(test['video_length'])
    size = tuple(fixture.inputs(part)['ori_hw'])
    masks = np.zeros((state.next_id, len(fused), *size), bool)
    for t, frame in enumerate(fused):
        logits = F.interpolate(frame.mask_logits[None], size, mode='bilinear')
        masks[frame.instances_id, t] = (logits[0] > 0).numpy()
    out[part, file, 'result_cls_probs'] = np.stack(
        [classes[i] for i in range(state.next_id)])
    out[part, file, 'result_masks_area'] = masks.sum((2, 3))
    out[part, file, 'result_masks_packed'] = masks
    return out
