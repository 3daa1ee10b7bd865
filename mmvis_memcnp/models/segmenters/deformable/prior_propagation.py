"""What a frame takes over from the one before (InstanceFormer, eqs 1, 2)."""
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from mmdet.models.layers import inverse_sigmoid
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ....results.saved_values import saveable
from .instanceformer_decoder import DecodedFrames
from .start_points import start_points

_SOURCES = ('content', 'position')
_COMBINATIONS = ('logit', 'multiply', 'add', None)
_HANDED_ON = ('start', 'centre')


class ReferencePrior(nn.Module):
    """Reference points of a frame from its queries and the last ones, eq 1.

    W_ref, which predicts points, belongs to the host.

    Args:
        embed_dims (int): C. Defaults to 256.
        source (str): What predicts a point: 'content', the query that was
            carried over, so that points follow the video (eq 1); 'position',
            the constant query position, as the released code does. Defaults
            to 'content'.
        combine (str, optional): How it meets the last point: 'logit' moves
            the last point, sigmoid(W q + logit(last point)), as boxes are
            refined from layer to layer; W is a layer of its own, ``offset``,
            which starts at zero, since W_ref has learnt places. 'multiply' is
            eq 1 to the letter, sigmoid(sigmoid(W_ref q) * last point), and
            'add' a script of the released code: they end in (0.5, 0.731) and
            (0.5, 0.881) of width and height, wherever the last point was.
            None is not at all. Defaults to 'logit'.
        handed_on (str): The last point: 'start', where the first decoder
            layer of the last frame looked, as released; 'centre', that of the
            last layer's box (Fig. 4), without gradient, as between two
            layers. Defaults to 'centre'.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 source: str = 'content',
                 combine: Optional[str] = 'logit',
                 handed_on: str = 'centre') -> None:
        super().__init__()
        for name, value, known in (
                ('source', source, _SOURCES),
                ('combine', combine, _COMBINATIONS),
                ('handed_on', handed_on, _HANDED_ON)):
            if value not in known:
                raise ValueError(f'{name} of the reference points must be '
                                 f'one of {known}, got {value!r}.')
        self.source = source
        self.combine = combine
        self.handed_on = handed_on
        self.offset = None
        if combine == 'logit':
            self.offset = nn.Linear(embed_dims, 2)
            nn.init.zeros_(self.offset.weight)
            nn.init.zeros_(self.offset.bias)

    def forward(self, layer: nn.Linear, content: Tensor, position: Tensor,
                previous: Optional[Tensor]) -> Tensor:
        """Reference points of a frame.

        Args:
            layer (nn.Linear): C to 2, W_ref of eq 1.
            content (Tensor): Shape (B, Q, C), queries that enter the frame.
            position (Tensor): Shape (B, Q, C), their constant positions.
            previous (Tensor, optional): Shape (B, Q, 2), what
                :meth:`hand_on` returned for the last frame; None in the
                first one.

        Returns:
            Tensor: Shape (B, Q, 2) float32, x and y as fractions.
        """
        query = content if self.source == 'content' else position
        if previous is None or self.combine is None:
            return start_points(layer, query)
        if self.offset is not None:
            return start_points(self.offset, query, inverse_sigmoid(previous))
        point = start_points(layer, query)
        if self.combine == 'multiply':
            return (point * previous).sigmoid()
        return (point + previous).sigmoid()

    def hand_on(self, decoded: DecodedFrames) -> Tensor:
        """The points of a frame that the next one starts from.

        Args:
            decoded (DecodedFrames): B frames.

        Returns:
            Tensor: Shape (B, Q, 2) float32, x and y as fractions.
        """
        if self.handed_on == 'start':
            return decoded.references[0]
        return decoded.boxes[-1, ..., :2].detach()


@saveable
class ClassHistory(NamedTuple):
    """Class scores of the last frames, oldest first.

    Attributes:
        logits: (B, F, Q, K), F at most the prior's ``num_frames``.
    """
    logits: Tensor


@MODELS.register_module()
class ClassPrior(BaseModule):
    """Class probabilities as a weighted sum over the last frames, eq 2.

    Each class of each query has its own weights: a softmax over time of
    sigmoid(T_cls(c_f)), of the last frames and of this one. The sum runs over
    the probabilities of these frames; the released code takes those of this
    frame for all of them, and as the weights sum to 1, nothing happens.

    Args:
        num_classes (int): K, of the class branches.
        num_layers (int): Decoder layers; each has its own T_cls.
        num_frames (int): Frames of the past. Defaults to 4.
        active (bool): False leaves scores as they are, as the released code
            in effect does, but keeps the parameters. Defaults to True.
    """

    def __init__(self,
                 num_classes: int,
                 num_layers: int,
                 num_frames: int = 4,
                 active: bool = True) -> None:
        super().__init__()
        if num_frames < 1:
            raise ValueError('The class prior needs at least 1 frame of the '
                             f'past, got num_frames={num_frames}; to have '
                             'none, set class_prior=None.')
        self.num_frames = num_frames
        self.active = active
        self.weigh = nn.ModuleList(
            [nn.Linear(num_classes, num_classes) for _ in range(num_layers)])

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Leave out weights for another number of classes.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of this module's names, with the dot.
        """
        for name, own in self.state_dict().items():
            if state.get(prefix + name, own).shape != own.shape:
                del state[prefix + name]

    def forward(self, layer: int, logits: Tensor,
                history: Optional[ClassHistory]) -> Tensor:
        """Scores of this frame in the light of the last ones.

        Args:
            layer (int): Decoder layer.
            logits (Tensor): Shape (B, Q, K), of this frame.
            history (ClassHistory, optional): None in the first frame.

        Returns:
            Tensor: Shape (B, Q, K) float32, logits of the weighted sum.
        """
        logits = logits.float()
        if history is None or not self.active:
            return logits
        frames = torch.cat((history.logits, logits[:, None]), dim=1)
        weigh = self.weigh[layer]
        score = weigh(frames.sigmoid().to(
            weigh.get_parameter('weight').dtype))
        score = score.float().sigmoid()
        weight = score.log_softmax(dim=1)
        # log p and log (1 - p) of p = sum of weight * probability: a logit
        # that neither p near 0 nor p near 1 spoils.
        yes = (weight + F.logsigmoid(frames)).logsumexp(dim=1)
        no = (weight + F.logsigmoid(-frames)).logsumexp(dim=1)
        return yes - no

    def remember(self, logits: Tensor,
                 history: Optional[ClassHistory]) -> ClassHistory:
        """Add a frame and forget the one that is too old.

        Args:
            logits (Tensor): Shape (B, Q, K), of the last layer, as
                :meth:`forward` gave them.
            history (ClassHistory, optional): Before this frame.

        Returns:
            ClassHistory: At most ``num_frames`` frames.
        """
        frames = logits[:, None]
        if history is not None:
            frames = torch.cat((history.logits, frames), dim=1)
        return ClassHistory(frames[:, -self.num_frames:])
