"""Bi-directional softmax between detections and remembered objects."""
import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor


@TASK_UTILS.register_module()
class BiSoftmaxAssociation:
    """Similarity as a share among the objects and among the detections.

    The mean of the softmax over the remembered objects and the softmax over
    the detections: close to 1 only where both choose each other. Source:
    Pang et al., Quasi-Dense Similarity Learning, CVPR 2021; IDOL and CTVIS
    use it.

    Args:
        similarity (str): 'dot' or 'cosine'. Defaults to 'dot'.
        temperature (float): Divides the similarity. Defaults to 1.
    """

    def __init__(self,
                 similarity: str = 'dot',
                 temperature: float = 1.) -> None:
        if similarity not in ('cosine', 'dot'):
            raise ValueError("similarity must be 'cosine' or 'dot', got "
                             f'{similarity!r}.')
        if temperature <= 0:
            raise ValueError(
                f'temperature must be positive, got {temperature}.')
        self.similarity = similarity
        self.temperature = temperature

    def __call__(self, objects: InstanceData,
                 detections: InstanceData) -> Tensor:
        """Score n detections against M remembered objects.

        Args:
            objects (InstanceData): ``embeds`` (M, C), M >= 1.
            detections (InstanceData): ``embeds`` (n, C).

        Returns:
            Tensor: Shape (n, M) float32 in [0, 1].
        """
        new, memory = detections.embeds.float(), objects.embeds.float()
        if self.similarity == 'cosine':
            new, memory = F.normalize(new, dim=1), F.normalize(memory, dim=1)
        with torch.autocast(new.device.type, enabled=False):
            logits = new @ memory.t() / self.temperature
        return (logits.softmax(dim=1) + logits.softmax(dim=0)) / 2
