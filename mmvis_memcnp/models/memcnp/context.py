"""What a host reads and writes: MemCNP, and the conventional CNP."""
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ..matching.points.geometry import SmallestBoxTarget
from .bank import MemoryBank, memory_target
from .distribution import SIGMA_UNITS, at_least_float32, half_sides
from .reference_set import ReferenceSet

#: Of a box whose sigma says that it has neither class nor overlap.
LEAST_CERTAINTY = 0.02


class ContextModule(BaseModule):
    """Gives queries a context (:meth:`read`) and learns from them
    (:meth:`write`).

    "Query" stands for whatever a host asks with: the points of a pyramid
    level, the queries of a decoder layer, the rows of a tracker.

    Args:
        bank (MemoryBank | ReferenceSet): What is read and written.
        box_unit (str): What the host's standard deviations are measured in:
            'object' = half the sides of the box, 'image' = the sides of the
            image. See :class:`MemCNPLoss`, which has to be of the same.
        certainty_power (float): Power of :meth:`certainty`, which hosts
            multiply their scores by at inference; with a higher one unsure
            boxes rank lower and more of them fall below the thresholds. Not
            in the paper. Defaults to 0, which leaves the scores alone.

    Raises:
        ValueError: If ``box_unit`` is not known, or ``certainty_power`` is
            negative or asked for in another unit than 'object'.

    Attributes:
        out_dims (int): Channels of a context.
        point_targets: Which box a query is written with, by default the
            smallest that contains it.
    """

    def __init__(self, bank: MemoryBank | ReferenceSet,
                 box_unit: str = 'object',
                 certainty_power: float = 0.) -> None:
        super().__init__()
        if box_unit not in SIGMA_UNITS:
            raise ValueError(f'box_unit must be one of {SIGMA_UNITS}, got '
                             f'{box_unit!r}.')
        if certainty_power < 0 or (certainty_power and box_unit != 'object'):
            raise ValueError(
                f'certainty_power={certainty_power} with box_unit='
                f"{box_unit!r}: it must be 0 or more, and 0 unless box_unit="
                "'object', where sigma is of the size of eq 11.")
        self.box_unit = box_unit
        self.certainty_power = certainty_power
        self.bank = bank
        self.out_dims = bank.out_dims
        self.point_targets = SmallestBoxTarget()

    def frame_sigmas(self, sigmas: Tensor, boxes: Tensor) -> Tensor:
        """Standard deviations as fractions of the image.

        Args:
            sigmas (Tensor): Shape (..., 4), what the host predicts.
            boxes (Tensor): Shape (..., 4), the boxes that it predicts with
                them, xyxy as fractions of the image.

        Returns:
            Tensor: Shape (..., 4), of x1, y1, x2 and y2.
        """
        if self.box_unit == 'image':
            return sigmas
        return sigmas * half_sides(boxes)

    def certainty(self, sigmas: Tensor) -> Tensor:
        """What scores are multiplied by.

        Training draws sigma to u = (1 - P) + (1 - IoU) (eqs 11, 12), so that
        1 - sigma / 2 estimates the mean of a box's class probability and IoU.

        Args:
            sigmas (Tensor): Shape (..., 4), what the host predicts.

        Returns:
            Tensor: Shape (...), that estimate to the power of
            ``certainty_power``, in (0, 1].
        """
        mean = at_least_float32(sigmas).mean(-1)
        return (1 - mean / 2).clamp(min=LEAST_CERTAINTY)**self.certainty_power

    def read(self, query: Tensor, scores: Tensor | None = None) -> Tensor:
        """Context of every query (eqs 6, 7).

        Args:
            query (Tensor): Shape (..., C), the vectors z. They get no
                gradient from here.
            scores (Tensor, optional): What a :meth:`write` of the same
                queries returned, to weigh the items by their similarities
                before that write. Defaults to None: those of now.

        Returns:
            Tensor: Shape (..., out_dims).
        """
        context = self.bank.read(query.reshape(-1, query.shape[-1]), scores)
        return context.view(*query.shape[:-1], self.out_dims)

    @torch.no_grad()
    def write(self, query: Tensor, reference: Tensor, boxes: Tensor,
              valid: Tensor) -> Tensor | None:
        """Write queries and their boxes (eqs 4, 5).

        Only queries whose reference lies strictly inside a box are written,
        with the smallest such box. Outside of training nothing happens. Every
        rank of a distributed run must make the same calls, one without ground
        truth as well.

        Args:
            query (Tensor): Shape (..., Q, C).
            reference (Tensor): Shape (..., Q, 2 or more), x and y first,
                where the queries stand, as fractions of the image; leading
                axes are broadcast.
            boxes (Tensor): Shape (..., G, 4), xyxy in the same fractions,
                padded.
            valid (Tensor): Shape (..., G) bool, False for padding and for
                objects that are not in the frame.

        Returns:
            Tensor | None: For the ``scores`` of :meth:`read`; None outside of
            training.
        """
        if not self.training:
            return None
        lead, num = query.shape[:-2], query.shape[-2]
        images = lead.numel()
        points = at_least_float32(reference[..., :2]).expand(*lead, num, 2)
        target = self.point_targets(
            points.reshape(images, num, 2),
            boxes.reshape(images, *boxes.shape[-2:]),
            valid.reshape(images, valid.shape[-1]))
        return self.bank.write(
            query.reshape(-1, query.shape[-1]),
            memory_target(target.ltrb).flatten(0, 1), target.inside.flatten())


@MODELS.register_module()
class MemCNP(ContextModule):
    """Memory-based conditional neural process: contexts from a memory bank.

    Args:
        box_unit (str): See :class:`ContextModule`.
        certainty_power (float): See :class:`ContextModule`.
        kwargs: Of :class:`MemoryBank`.
    """
    bank: MemoryBank

    def __init__(self, box_unit: str = 'object',
                 certainty_power: float = 0., **kwargs) -> None:
        super().__init__(MemoryBank(**kwargs), box_unit, certainty_power)


@MODELS.register_module()
class CNP(ContextModule):
    """Conventional conditional neural process with fixed reference entries.

    The counterpart of :class:`MemCNP` in the paper's Table 7.

    Args:
        box_unit (str): See :class:`ContextModule`.
        certainty_power (float): See :class:`ContextModule`.
        kwargs: Of :class:`ReferenceSet`.
    """
    bank: ReferenceSet

    def __init__(self, box_unit: str = 'object',
                 certainty_power: float = 0., **kwargs) -> None:
        super().__init__(ReferenceSet(**kwargs), box_unit, certainty_power)
