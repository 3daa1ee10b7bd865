"""Parts of the released InstanceFormer that only a mistake of it explains."""
import numpy as np
import torch
from mmdet.registry import MODELS
from torch import Tensor

from mmvis_memcnp.models.losses import TemporalContrastiveLoss
from mmvis_memcnp.models.matching import ClipAssignment
from mmvis_memcnp.models.vis import InstanceFormer


@MODELS.register_module()
class OfficialTemporalContrast(TemporalContrastiveLoss):
    """All background tokens of all frames are positives of one another.

    And the mean is divided by the number of tokens once more.
    """

    def forward(self, features: Tensor, objects: Tensor) -> Tensor:
        """See the product's loss."""
        background = int(objects.max()) + 1
        objects = torch.where(objects < 0, background, objects)
        return super().forward(features, objects) / objects.shape[1]


@MODELS.register_module()
class OfficialInstanceFormer(InstanceFormer):
    """Pairs masks of the wrong objects in all layers but the last.

    After the first frame the predictions of every layer are those of the
    last layer's queries, in their order, but the ground truths stand in the
    order of the layer's own queries. Batches of one clip only.
    """

    def mask_rows(self, assignment: ClipAssignment, t: int) -> np.ndarray:
        """See the product's model."""
        rows = super().mask_rows(assignment, t)
        order = np.lexsort((rows[2], rows[0]))
        layer, clip, query, number = rows[:, order]
        if t > 0:
            layers = len(assignment.query)
            query = np.tile(np.sort(assignment.query[-1, 0]), layers)
        return np.stack((layer, clip, query, number))
