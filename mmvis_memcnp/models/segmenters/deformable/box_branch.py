"""Box regression of a decoder layer: the hook of MemCNP in a query host."""
from typing import Iterable, Iterator, NamedTuple, Optional

import torch
from mmdet.models.layers import inverse_sigmoid
from mmdet.registry import MODELS
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from ...matching import SmallestBoxTarget
from ...memcnp import ContextMLP, MemCNP, memory_target, split_distribution


class BoxPrediction(NamedTuple):
    """What a box branch says about queries.

    Attributes:
        delta: (..., 4), added to the reference before the sigmoid.
        sigma: (..., 4), standard deviations of the edges x1, y1, x2, y2 as
            fractions of the image; None in a plain host.
        context: (..., C), what MemCNP read; None in a plain host.
    """
    delta: Tensor
    sigma: Optional[Tensor] = None
    context: Optional[Tensor] = None


@MODELS.register_module()
class PlainBoxBranch(BaseModule):
    """Three linear layers, as in Deformable DETR.

    Args:
        embed_dims (int): Defaults to 256.
        wide_start (bool): Start from a size logit of -2, as the first
            decoder layer does. Defaults to False.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 wide_start: bool = False) -> None:
        super().__init__()
        self.wide_start = wide_start
        self.last = nn.Linear(embed_dims, 4)
        self.hidden = nn.ModuleList(
            [nn.Linear(embed_dims, embed_dims) for _ in range(2)])

    def init_weights(self) -> None:
        """The last layer starts at zero: boxes start at their references."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        if self.wide_start:
            nn.init.constant_(self.last.bias[2:], -2.)

    def forward(self, query: Tensor) -> BoxPrediction:
        """Regress boxes.

        Args:
            query (Tensor): Shape (..., C).

        Returns:
            BoxPrediction: ``delta`` alone.
        """
        for layer in self.hidden:
            query = layer(query).relu()
        return BoxPrediction(self.last(query))


class MemCNPBoxBranch(BaseModule):
    """Three linear layers over a query and what the memory returns for it.

    [z ; r] -> C -> C -> 8: the host's four deltas, which the decoder refines
    its boxes with as before, and four raw uncertainties (paper section 3.2).

    Args:
        memcnp (MemCNP): The bank that is read. It belongs to
            :class:`MemCNPBoxBranches`, whose branches share it: a branch does
            not register it, so its tensors appear once in a state dict.
        embed_dims (int): C. Defaults to 256.
        wide_start (bool): As in :class:`PlainBoxBranch`. Defaults to False.
        own_readout (bool): Encode what is read by an MLP of this branch, for
            a bank that returns its items raw. Defaults to True.
    """

    def __init__(self,
                 memcnp: MemCNP,
                 embed_dims: int = 256,
                 wide_start: bool = False,
                 own_readout: bool = True) -> None:
        super().__init__()
        self._memcnp = (memcnp, )
        self.wide_start = wide_start
        context_dims = memcnp.out_dims
        self.readout = None
        if own_readout:
            self.readout = ContextMLP(context_dims, embed_dims)
            context_dims = embed_dims
        self.last = nn.Linear(embed_dims, 8)
        self.hidden = nn.ModuleList([
            nn.Linear(embed_dims + context_dims, embed_dims),
            nn.Linear(embed_dims, embed_dims)
        ])

    def init_weights(self) -> None:
        """The last layer starts at zero: mu as in the host, sigma at 0.72."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        if self.wide_start:
            nn.init.constant_(self.last.bias[2:4], -2.)

    def adapt_weights(self, state: dict[str, Tensor], prefix: str) -> None:
        """Widen the weights of a plain branch, of the host's checkpoint.

        The boxes stay what they were: the context starts with weight 0. The
        uncertainties keep their initial weights.

        Args:
            state (dict[str, Tensor]): Weights by name; changed.
            prefix (str): Of this branch's names, with the dot.
        """
        first, last = f'{prefix}hidden.0.weight', f'{prefix}last.'
        weight = state.get(first)
        if weight is None or weight.shape[1] != weight.shape[0]:
            return
        own = self.state_dict()
        wide = weight.new_zeros(own['hidden.0.weight'].shape)
        wide[:, :weight.shape[1]] = weight
        state[first] = wide
        for name in ('weight', 'bias'):
            plain = state[last + name]
            state[last + name] = torch.cat(
                (plain, own[f'last.{name}'][4:].to(plain)))

    def forward(self, query: Tensor) -> BoxPrediction:
        """Regress distributions of boxes.

        Args:
            query (Tensor): Shape (..., C), the vectors z.

        Returns:
            BoxPrediction: All three fields; ``sigma`` in float32 at least.
        """
        context = self._memcnp[0](query.reshape(-1, query.shape[-1]))
        if self.readout is not None:
            context = self.readout(context)
        context = context.view(*query.shape[:-1], -1).to(query.dtype)
        hidden = torch.cat((query, context), dim=-1)
        for layer in self.hidden:
            hidden = layer(hidden).relu()
        delta, sigma = split_distribution(self.last(hidden))
        return BoxPrediction(delta, sigma, context)


class MemCNPBoxBranches(ModuleList):
    """The branches of all decoder layers around one memory.

    Indexing, iteration and length are those of the branches; ``memcnp`` is
    the memory itself.

    Args:
        branches (Iterable[MemCNPBoxBranch]): One a decoder layer.
        memcnp (MemCNP): What they read.
    """
    memcnp: MemCNP

    def __init__(self, branches: Iterable[MemCNPBoxBranch],
                 memcnp: MemCNP) -> None:
        super().__init__(branches)
        self.memcnp = memcnp
        self.point_targets = SmallestBoxTarget()

    def __len__(self) -> int:
        return sum(name.isdigit() for name in self._modules)

    def __iter__(self) -> Iterator[nn.Module]:
        return (module for name, module in self._modules.items()
                if name.isdigit() and module is not None)

    @torch.no_grad()
    def write(self, query: Tensor, reference: Tensor, boxes: Tensor,
              valid: Tensor) -> None:
        """Write queries and their boxes into the memory (eqs 4, 5).

        Once an iteration: the last layer's queries of the key frames (of all
        frames of a clip). Every rank of a distributed run must call it, one
        without ground truth as well. Only queries whose reference point lies
        inside a box are written, with the smallest such box. Outside of
        training nothing happens.

        Args:
            query (Tensor): Shape (..., Q, C).
            reference (Tensor): Shape (..., Q, 2 or 4), centre first: the
                reference that entered the layer, as fractions of the image.
            boxes (Tensor): Shape (..., G, 4), xyxy as fractions of the image,
                padded.
            valid (Tensor): Shape (..., G) bool, False for padding and for
                objects that are not in the frame.
        """
        if not self.training:
            return
        target = self.point_targets(
            reference[..., :2].float().flatten(0, -3),
            boxes.flatten(0, -3), valid.flatten(0, -2))
        self.memcnp.bank.write(
            query.reshape(-1, query.shape[-1]),
            memory_target(target.ltrb, (1, 1)).flatten(0, 1),
            target.inside.flatten())


def build_box_branches(num_layers: int,
                       embed_dims: int = 256,
                       memcnp: Optional[dict] = None) -> nn.ModuleList:
    """Box branches of a decoder, one a layer; the first starts wide.

    Args:
        num_layers (int): Number of decoder layers.
        embed_dims (int): Channels of a query. Defaults to 256.
        memcnp (dict, optional): Arguments of :class:`MemCNP`, such as
            ``dict(type='MemCNP', num_items=128)``. Its ``readout`` may also
            be 'per_layer', the default here: each branch encodes what it
            reads with an MLP of its own, where 'mlp' shares one between the
            layers. Defaults to None: plain branches.

    Returns:
        nn.ModuleList: Of :class:`PlainBoxBranch`, or
        :class:`MemCNPBoxBranches`.

    Raises:
        ValueError: For another type than MemCNP.
    """
    if memcnp is None:
        return ModuleList(
            PlainBoxBranch(embed_dims, wide_start=layer == 0)
            for layer in range(num_layers))
    options = dict(feat_dims=embed_dims, readout='per_layer')
    options.update(memcnp)
    if options.get('type') != 'MemCNP':
        raise ValueError('The box branches of a query host read a memory bank '
                         f"but memcnp.type is {options.get('type')!r}: use "
                         "memcnp=dict(type='MemCNP', ...).")
    per_layer = options['readout'] == 'per_layer'
    if per_layer:
        options['readout'] = 'raw'
    bank = MODELS.build(options)
    return MemCNPBoxBranches(
        (MemCNPBoxBranch(bank, embed_dims, layer == 0, per_layer)
         for layer in range(num_layers)), bank)


def refine_boxes(delta: Tensor, reference: Tensor) -> Tensor:
    """Move references by what a box branch predicts.

    Args:
        delta (Tensor): Shape (..., 4).
        reference (Tensor): Shape (..., 2), points, or (..., 4), boxes
            cx, cy, w, h; both as fractions of the image.

    Returns:
        Tensor: Shape (..., 4), cx, cy, w, h in [0, 1], float32.
    """
    with torch.autocast(delta.device.type, enabled=False):
        start = inverse_sigmoid(reference.float())
        if start.shape[-1] == 2:
            start = torch.cat((start, torch.zeros_like(start)), dim=-1)
        return (delta.float() + start).sigmoid()
