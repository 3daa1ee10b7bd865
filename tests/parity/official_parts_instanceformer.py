"""Parts of the released InstanceFormer that only a mistake of it explains."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from mmvis_memcnp.models.losses import TemporalContrastiveLoss
from mmvis_memcnp.models.truth import ClipTruth, Matches
from mmvis_memcnp.models.vis import InstanceFormer
from mmvis_memcnp.models.vis.instanceformer import FrameQueries


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

    def decode(self, encoded, state, span=None) -> FrameQueries:
        """See the product's model; remembers which frame is the first."""
        self._first = state is None
        return super().decode(encoded, state, span)

    def frame_losses(self, frame: FrameQueries, features: Tensor,
                     shown: Matches, known: Matches,
                     truth: ClipTruth) -> dict[str, Tensor]:
        """See the product's model."""
        if not self._first:
            assert known.best is not None
            last = known.best[-1:].sort().values
            mixed = torch.empty_like(known.best).scatter_(
                -1, known.best.argsort(-1), last.expand_as(known.best))
            known = Matches.of_objects(mixed, known.gt_index.shape[-1])
        return super().frame_losses(frame, features, shown, known, truth)
