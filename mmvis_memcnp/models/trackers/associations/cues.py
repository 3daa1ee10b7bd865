"""Scores between detections and remembered objects."""
import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor

from ...layers import pairwise_iou


@TASK_UTILS.register_module()
class CueAssociation:
    """Appearance, score, overlap and class combined (MaskTrack R-CNN).

    A detection's score for a remembered object, or for being a new one, is::

        log softmax(similarity / temperature) + score_weight * log(det score)
        + iou_weight * IoU + label_weight * [same class]

    For a new object the similarity is ``new_object_logit``, the IoU is 0 and
    the class counts as the same. A pixel at the right and lower edge belongs
    to a box, as published, so its sides are 1 longer than the differences.

    Args:
        similarity (str): 'cosine' or 'dot'. Defaults to 'cosine'.
        temperature (float): Divides the similarity. Defaults to 0.1.
        new_object_logit (float): Defaults to 0.
        score_weight (float): Defaults to 1.
        iou_weight (float): Defaults to 2.
        label_weight (float): Defaults to 10.
    """

    def __init__(self,
                 similarity: str = 'cosine',
                 temperature: float = 0.1,
                 new_object_logit: float = 0.,
                 score_weight: float = 1.,
                 iou_weight: float = 2.,
                 label_weight: float = 10.) -> None:
        if similarity not in ('cosine', 'dot'):
            raise ValueError("similarity must be 'cosine' or 'dot', got "
                             f'{similarity!r}.')
        self.similarity = similarity
        self.temperature = temperature
        self.new_object_logit = new_object_logit
        self.score_weight = score_weight
        self.iou_weight = iou_weight
        self.label_weight = label_weight

    def __call__(self, objects: InstanceData,
                 detections: InstanceData) -> Tensor:
        """Score n detections against M remembered objects.

        Args:
            objects (InstanceData): ``embeds`` (M, C), ``bboxes`` (M, 4)
                xyxy, ``labels`` (M,).
            detections (InstanceData): ``embeds`` (n, C), ``bboxes`` (n, 4),
                ``labels`` (n,), ``scores`` (n,) in (0, 1].

        Returns:
            Tensor: Shape (n, 1 + M) float32; column 0 is a new object.
        """
        new, memory = detections.embeds.float(), objects.embeds.float()
        if self.similarity == 'cosine':
            new, memory = F.normalize(new, dim=1), F.normalize(memory, dim=1)
        with torch.autocast(new.device.type, enabled=False):
            logits = new @ memory.t() / self.temperature
        logits = F.pad(logits, (1, 0), value=self.new_object_logit)
        iou = pairwise_iou(detections.bboxes.float(), objects.bboxes.float(),
                           offset=1.)
        same = (detections.labels[:, None] == objects.labels).float()
        return (logits.log_softmax(dim=1) +
                self.score_weight * detections.scores.float().log()[:, None] +
                self.iou_weight * F.pad(iou, (1, 0), value=0.) +
                self.label_weight * F.pad(same, (1, 0), value=1.))
