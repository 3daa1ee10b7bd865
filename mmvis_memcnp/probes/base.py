"""What every family of models with MemCNP can be asked."""
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from mmengine.structures import InstanceData

from ..apis.inferencer import VISInferencer
from ..models.memcnp import MemoryBank
from ..visualization import LevelSelection


class Retrieval(NamedTuple):
    """What the memory returns for a point or a query.

    Attributes:
        point (np.ndarray): (2, ) x, y in pixels of the frame.
        scores (list[float]): k cosine similarities, best first.
        boxes (np.ndarray): (k, 4) xyxy in pixels of the frame: the distances
            that the items hold, around the point.
    """
    point: np.ndarray
    scores: list[float]
    boxes: np.ndarray


def check_bank(bank: Any, topk: int) -> None:
    """Refuse what :meth:`MemCNPProbe.retrieve` cannot do.

    Args:
        bank: What a MemCNP module of the model reads.
        topk (int): Wanted items.

    Raises:
        ValueError: If it is no memory bank with so many items.
    """
    if not isinstance(bank, MemoryBank):
        raise ValueError('The context of this model is no memory bank: use a '
                         "config with memcnp of type 'MemCNP'.")
    if not 1 <= topk <= bank.num_items:
        raise ValueError(f'The memory holds {bank.num_items} items, so topk '
                         f'must lie in 1..{bank.num_items}, got {topk}.')


class MemCNPProbe(ABC):
    """Looks into a model with MemCNP; an adapter a family of models.

    A stage is what has predictions of its own: a pyramid level, or a decoder
    layer.

    Args:
        inferencer (VISInferencer): The model with its pipeline.

    Attributes:
        stages (list[str]): Names of the stages.
        default_stage (int): The one whose predictions are looked at first.
        selections (tuple[str]): Names of the selections of training samples
            that :meth:`select` knows.
    """
    stages: list[str]
    default_stage: int
    selections: ClassVar[tuple[str, ...]]

    def __init__(self, inferencer: VISInferencer) -> None:
        self.inferencer = inferencer
        self.model: Any = inferencer.model

    @staticmethod
    @abstractmethod
    def fits(model: Any) -> bool:
        """Whether a model of the family carries MemCNP."""

    @abstractmethod
    def retrieve(self, image: np.ndarray, stage: int,
                 point: np.ndarray | None, topk: int) -> Retrieval:
        """Items of the memory that are most similar.

        Args:
            image (np.ndarray): (H, W, 3), uint8, BGR.
            stage (int): Index into ``stages``.
            point (np.ndarray, optional): (2, ) x, y in pixels of the frame;
                None takes the best detection.
            topk (int): Number of items.

        Raises:
            ValueError: If the model has no memory bank with so many items.
        """

    @abstractmethod
    def uncertainty(self, images: Sequence[np.ndarray],
                    height: int) -> np.ndarray:
        """The figure of the standard deviations: a row a frame, a column a
        stage.

        Args:
            images (Sequence[ndarray]): Frames (H, W, 3), uint8, BGR.
            height (int): Pixels of a frame in the figure.
        """

    @abstractmethod
    def select(self, image: np.ndarray, truth: InstanceData,
               classes: Sequence[str],
               names: Sequence[str]) -> dict[str, list[LevelSelection]]:
        """Training samples that selections take.

        Args:
            image (np.ndarray): (H, W, 3), uint8, BGR.
            truth (InstanceData): ``bboxes`` (G, 4) xyxy in pixels of the
                frame and ``labels`` (G, ).
            classes (Sequence[str]): Names of these labels.
            names (Sequence[str]): Some of ``selections``.

        Returns:
            dict[str, list[LevelSelection]]: For each name, one a stage.

        Raises:
            ValueError: If the model selects nothing in a frame.
        """
