"""Memory bank of MemCNP: items that pair a feature with a box (eqs 4-7)."""
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_rank
from torch import Tensor, nn

from .distribution import at_least_float32

#: Numbers of y: distances to the left, top, right and bottom edge.
BOX_DIMS = 4


class ContextMLP(nn.Module):
    """Two-layer GELU encoder of a context.

    Args:
        in_dims (int): Length of an item [z; y].
        hidden_dims (int): Width of both layers.
    """

    def __init__(self, in_dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_dims, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, hidden_dims)
        # Small weights (the released code draws them from N(0, 0.01)) would
        # let the host learn without the context first.
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Encode rows, or weighted sums of rows.

        Args:
            rows (Tensor): Shape (k, in_dims).
            weights (Tensor, optional): Shape (N, k), each row summing to one.
                Then ``weights @ rows`` is encoded: the first layer is applied
                to the k rows in place of the N sums, which is the same and
                cheaper.

        Returns:
            Tensor: Shape (k or N, hidden_dims).
        """
        hidden = self.fc1(rows)
        if weights is not None:
            hidden = weights.to(hidden.dtype) @ hidden
        return self.fc2(F.gelu(hidden))


class MemoryBank(nn.Module):
    """Memory of k items, each a feature vector and its regression target.

    Training writes each point's pair [z; y] into the most similar item by a
    moving average (eqs 4, 5). A read weighs all items by the softmax of their
    similarities to z (eqs 6, 7). Similarity is taken between z and the
    feature part of an item: the paper compares d with d + 4 numbers, which
    can be meant in no other way.

    All ranks of a distributed run hold the same memory: sums and counts are
    reduced over the ranks before an item moves. Every rank must therefore
    write as often and in the same order; a rank without a ground truth
    passes ``valid`` all False.

    Args:
        num_items (int): Number of items k. Defaults to 128.
        feat_dims (int): Channels of z. Defaults to 256.
        rate (float): Moving-average rate tau of eq 5, in [0, 1]; with a
            higher one the items move less. Defaults to 0.999.
        similarity (str): 'cosine' compares directions. 'dot' is the dot
            product that the paper prints: the features of all points share a
            large part, so that the longest items win nearly every point and
            an item says less about a box than a constant would
            (docs/memcnp.md has the figures). Defaults to 'cosine'.
        temperature (float): Divides the similarities before the softmax of
            eq 6, > 0; with a higher one a read mixes more items. Cosines at
            1, as released, mix all items nearly evenly: their weights differ
            by e^2 at most. Defaults to 0.05.
        normalize (bool): Read L2-normalised items, as the released code does,
            in place of the items of eq 7. Defaults to False.
        revive (float): Items that win less than this part of a fair share of
            the points, in moving average, are put where a point is; 0 never
            does. Items that start at random directions far from all features
            never win otherwise. At the first write nearly all items move.
            Defaults to 0.1.
        readout (str): 'mlp' encodes what is read with a two-layer MLP (260-
            256-256 by default); 'raw' returns the weighted sum of items
            itself, for a host that encodes it by itself. Defaults to 'mlp'.
        hidden_dims (int, optional): Width of that MLP. Defaults to
            ``feat_dims``.
        decay_unused (bool): Shrink items that win nothing by ``rate``, as the
            released code does; else they stay as they are, as eq 5 says.
            Defaults to False.
        learnable (bool): The items are a parameter, which reads pass
            gradients to, as in the released code; else a buffer, which the
            moving average of eq 5 alone changes. Defaults to False.

    Raises:
        ValueError: If the rate is no share, the temperature not positive, or
            the similarity or readout unknown.
    """
    items: Tensor
    usage: Tensor | None

    def __init__(self,
                 num_items: int = 128,
                 feat_dims: int = 256,
                 rate: float = 0.999,
                 similarity: str = 'cosine',
                 temperature: float = 0.05,
                 normalize: bool = False,
                 revive: float = 0.1,
                 readout: str = 'mlp',
                 hidden_dims: int | None = None,
                 decay_unused: bool = False,
                 learnable: bool = False) -> None:
        super().__init__()
        if not 0 <= rate <= 1:
            raise ValueError(f'rate must be in [0, 1], got {rate}.')
        if similarity not in ('dot', 'cosine'):
            raise ValueError("similarity must be 'dot' or 'cosine', got "
                             f'{similarity!r}.')
        if temperature <= 0:
            raise ValueError(f'temperature must be > 0, got {temperature}.')
        if readout not in ('mlp', 'raw'):
            raise ValueError(
                f"readout must be 'mlp' or 'raw', got {readout!r}.")
        self.num_items = num_items
        self.feat_dims = feat_dims
        self.rate = rate
        self.cosine = similarity == 'cosine'
        self.temperature = temperature
        self.normalize = normalize
        self.revive = revive
        self.decay_unused = decay_unused
        self.out_dims = item_dims = feat_dims + BOX_DIMS
        items = torch.randn(num_items, item_dims)
        if learnable:
            self.items = nn.Parameter(items)
        else:
            self.register_buffer('items', items)
        # Share of the points that an item wins, in moving average.
        self.register_buffer(
            'usage', torch.zeros(num_items) if revive else None)
        self.mlp = None
        if readout == 'mlp':
            self.out_dims = hidden_dims or feat_dims
            self.mlp = ContextMLP(item_dims, self.out_dims)

    @torch.no_grad()
    def similarity(self, z: Tensor) -> Tensor:
        """Similarity of points and the feature part of the items.

        Args:
            z (Tensor): Shape (N, feat_dims).

        Returns:
            Tensor: Shape (N, num_items), without gradient; cosines in
            [-1, 1] or dot products.
        """
        z = at_least_float32(z)
        keys = self.items[:, :self.feat_dims].to(z.dtype)
        if self.cosine:
            z, keys = F.normalize(z, dim=1), F.normalize(keys, dim=1)
        # The arg max decides what is written: keep it out of half precision.
        with torch.autocast(z.device.type, enabled=False):
            return z @ keys.t()

    def weights(self, scores: Tensor) -> Tensor:
        """How much each item counts for each point (eq 6).

        Args:
            scores (Tensor): Shape (N, num_items), of :meth:`similarity`.

        Returns:
            Tensor: The same shape; rows sum to one.
        """
        return (scores / self.temperature).softmax(dim=1)

    def read(self, z: Tensor, scores: Tensor | None = None) -> Tensor:
        """Context of each point (eqs 6, 7).

        Args:
            z (Tensor): Shape (N, feat_dims), features of the points. They get
                no gradient from here.
            scores (Tensor, optional): Shape (N, num_items), similarities to
                weigh the items by, such as those that :meth:`write` returns.
                Defaults to :meth:`similarity` of ``z``.

        Returns:
            Tensor: Shape (N, out_dims), the context r.
        """
        if scores is None:
            scores = self.similarity(z)
        # The clone keeps what autograd saves apart from the parameter, which
        # a later write of the same iteration changes in place.
        rows = self.items.clone()
        if self.normalize:
            rows = F.normalize(rows, dim=1)
        weights = self.weights(scores)
        if self.mlp is None:
            return weights.to(rows.dtype) @ rows
        return self.mlp(rows, weights)

    @torch.no_grad()
    def write(self, z: Tensor, y: Tensor, valid: Tensor) -> Tensor:
        """Move each winning item towards the mean of the pairs it won.

        Args:
            z (Tensor): Shape (N, feat_dims).
            y (Tensor): Shape (N, 4), :func:`memory_target` of their boxes.
            valid (Tensor): Shape (N,) bool, the points to write.

        Returns:
            Tensor: Shape (N, num_items), the similarities that decided: those
            to the items before the write.
        """
        scores = self.similarity(z)
        dtype = self.items.dtype
        pairs = torch.cat((z.to(dtype), y.to(dtype), z.new_ones(
            (len(z), 1), dtype=dtype)), dim=1)  # the ones count the points
        # Points that are not written go to a row that is dropped.
        winner = torch.where(valid, scores.argmax(dim=1), self.num_items)
        sums = pairs.new_zeros((self.num_items + 1, pairs.size(1)))
        sums.index_add_(0, winner, pairs)
        sums = sums[:-1].contiguous()
        seeds = None
        if self.usage is not None:
            seeds = self._seeds(pairs, valid)
            sums = torch.cat((sums, seeds))
        all_reduce(sums)
        if seeds is not None:
            sums, seeds = sums.split(self.num_items)
        sums, counts = sums[:, :-1], sums[:, -1:]
        if self.decay_unused:
            mean, moves = sums / (counts + 1e-6), torch.ones_like(counts) > 0
        else:
            mean, moves = sums / counts.clamp(min=1), counts > 0
        moved = self.rate * self.items + (1 - self.rate) * mean
        self.items.copy_(torch.where(moves, moved, self.items))
        if seeds is not None:
            self._revive(counts, seeds)
        return scores

    def _seeds(self, pairs: Tensor, valid: Tensor) -> Tensor:
        """A written pair for each unused item, spread evenly over those of a
        write; those of the first rank, zeros on the others.

        Args:
            pairs (Tensor): Shape (N, item_dims + 1), with ones at the end.
            valid (Tensor): Shape (N,) bool.

        Returns:
            Tensor: Shape (num_items, item_dims + 1); zeros for items that are
            used, and for all where nothing is written.
        """
        assert self.usage is not None
        if not len(pairs):
            return pairs.new_zeros((self.num_items, pairs.size(1)))
        unused = self.usage < self.revive / self.num_items
        count = valid.sum()
        rank = (unused.cumsum(0) - 1) * count // unused.sum().clamp(min=1)
        point = torch.searchsorted(valid.cumsum(0), rank + 1)
        taken = unused & (count > 0) & (get_rank() == 0)
        # Points that are not written may hold anything, NaN as well.
        return pairs[point.clamp(0, len(pairs) - 1)].where(
            taken[:, None], pairs.new_zeros(()))

    def _revive(self, counts: Tensor, seeds: Tensor) -> None:
        """Put seeds in the place of unused items, with a fair share."""
        assert self.usage is not None
        seeds, taken = seeds[:, :-1], seeds[:, -1:] > 0
        self.items.copy_(torch.where(taken, seeds, self.items))
        total = counts.sum()
        share = counts[:, 0] / total.clamp(min=1)
        usage = torch.where(total > 0, self.rate * self.usage +
                            (1 - self.rate) * share, self.usage)
        self.usage.copy_(
            torch.where(taken[:, 0], 1 / self.num_items, usage))

    @torch.no_grad()
    def top_items(self, z: Tensor,
                  k: int = 5) -> tuple[Tensor, Tensor, Tensor]:
        """The items most similar to each point, and the boxes they hold.

        Args:
            z (Tensor): Shape (N, feat_dims).
            k (int): Items a point, at most ``num_items``. Defaults to 5.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Indices (N, k), similarities (N, k)
            and distances left, top, right, bottom (N, k, 4) from the point,
            as fractions of what the host writes fractions of (the padded
            network input in SipMask, the frame without padding in the query
            systems; what the paper's Fig. 7 draws), best item first.
        """
        scores, indices = self.similarity(z).topk(k, dim=1)
        targets = self.items[:, self.feat_dims:][indices]
        return indices, scores, memory_distances(targets)


def memory_target(ltrb: Tensor) -> Tensor:
    """Encode distances to the box edges as the y of a memory item.

    Args:
        ltrb (Tensor): Shape (..., 4), distances to the left, top, right and
            bottom edge, as fractions of the image's width and height.

    Returns:
        Tensor: Shape (..., 4), ``(ltrb - 0.5) * 2``: in [-1, 1] for a point
        inside its box.
    """
    return (ltrb - 0.5) * 2


def memory_distances(y: Tensor) -> Tensor:
    """Inverse of :func:`memory_target`, shapes (..., 4)."""
    return y / 2 + 0.5
