"""VidEoMT read from its paper once more: loops, double precision, and nothing
of the package. Tensors have the names of Hugging Face's ``videomt``."""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

State = dict[str, Tensor]
Points = Callable[[int], Tensor]


class Reading:
    """The network and its losses.

    Args:
        state: tensors by name.
        heads: of the attention.
        blocks: blocks with queries.
        grid: rows and columns of the stored positions.
        norm_early: predictions before the last block are behind the norm.
    """

    def __init__(self, state: State, heads: int, blocks: int,
                 grid: tuple[int, int], norm_early: bool) -> None:
        self.state = {k: v.double() for k, v in state.items()}
        for value in self.state.values():
            value.requires_grad_()
        self.heads, self.blocks, self.grid = heads, blocks, grid
        self.norm_early = norm_early
        self.depth = 1 + max(int(k.split('.')[1]) for k in state
                             if k.startswith('layers.'))
        self.queries = len(state['query.weight'])

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.state[f'{name}.weight'].T + self.state[f'{name}.bias']

    def norm(self, x: Tensor, name: str) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return x * self.state[f'{name}.weight'] + self.state[f'{name}.bias']

    @staticmethod
    def gelu(x: Tensor) -> Tensor:
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))

    def block(self, x: Tensor, number: int) -> Tensor:
        """One block on (n, C) tokens, head by head."""
        name = f'layers.{number}'
        normed = self.norm(x, f'{name}.norm1')
        q, k, v = (self.linear(normed, f'{name}.attention.{part}_proj')
                   for part in 'qkv')
        width = x.shape[1] // self.heads
        seen = []
        for head in range(self.heads):
            own = slice(head * width, (head + 1) * width)
            weight = (q[:, own] @ k[:, own].T / math.sqrt(width)).softmax(1)
            seen.append(weight @ v[:, own])
        x = x + self.state[f'{name}.layer_scale1.lambda1'] * self.linear(
            torch.cat(seen, 1), f'{name}.attention.out_proj')
        hidden = self.gelu(self.linear(
            self.norm(x, f'{name}.norm2'), f'{name}.mlp.fc1'))
        return x + self.state[f'{name}.layer_scale2.lambda1'] * self.linear(
            hidden, f'{name}.mlp.fc2')

    def embed(self, frame: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (n, C) of a frame (3, H, W), and the grid of its patches."""
        kernel = self.state['embeddings.patch_embeddings.projection.weight']
        side = kernel.shape[-1]
        rows, cols = frame.shape[1] // side, frame.shape[2] // side
        patches = torch.stack([
            frame[:, r * side:(r + 1) * side, c * side:(c + 1) * side]
            .flatten() for r in range(rows) for c in range(cols)])
        patches = patches @ kernel.flatten(1).T + self.state[
            'embeddings.patch_embeddings.projection.bias']
        position = self.state['embeddings.position_embeddings.weight']
        if (rows, cols) != self.grid:
            position = F.interpolate(
                position.T.unflatten(1, self.grid)[None], size=(rows, cols),
                mode='bicubic', antialias=True)[0].flatten(1).T
        prefix = torch.cat((self.state['embeddings.cls_token'][0],
                            self.state['embeddings.register_tokens'][0]))
        return torch.cat((prefix, patches + position)), (rows, cols)

    def upscale(self, fmap: Tensor) -> Tensor:
        """A map (C, h, w) enlarged until patches are 4 pixels."""
        step = 0
        while f'upscale_block.block.{step}.conv1.weight' in self.state:
            name = f'upscale_block.block.{step}'
            kernel = self.state[f'{name}.conv1.weight']  # (in, out, 2, 2)
            large = fmap.new_zeros(
                kernel.shape[1], fmap.shape[1] * 2, fmap.shape[2] * 2)
            for r in range(2):
                for c in range(2):
                    large[:, r::2, c::2] = torch.einsum(
                        'ihw,io->ohw', fmap, kernel[:, :, r, c])
            large = self.gelu(
                large + self.state[f'{name}.conv1.bias'][:, None, None])
            padded = F.pad(large, (1, 1, 1, 1))
            weight = self.state[f'{name}.conv2.weight']
            h, w = large.shape[1:]
            mixed = torch.zeros_like(large)
            for r in range(3):
                for c in range(3):
                    mixed = mixed + weight[:, 0, r, c, None, None] * \
                        padded[:, r:r + h, c:c + w]
            fmap = self.norm(mixed.permute(1, 2, 0),
                             f'{name}.layernorm2d').permute(2, 0, 1)
            step += 1
        return fmap

    def predict(self, x: Tensor, grid: tuple[int, int],
                norm: bool) -> tuple[Tensor, Tensor]:
        """Class logits (Q, K + 1) and mask logits (Q, h, w) of tokens."""
        if norm:
            x = self.norm(x, 'layernorm')
        queries = x[:self.queries]
        patches = x[len(x) - grid[0] * grid[1]:]
        weights = queries
        for layer in (1, 2, 3):
            weights = self.linear(weights, f'mask_head.fc{layer}')
            if layer < 3:
                weights = self.gelu(weights)
        features = self.upscale(patches.T.unflatten(1, grid))
        return (self.linear(queries, 'class_predictor'),
                torch.einsum('qc,chw->qhw', weights, features))

    def clip(self, frames: Tensor) -> list[list[tuple[Tensor, Tensor]]]:
        """Predictions of a clip (T, 3, H, W): of each frame, before each
        block with queries and behind the last."""
        found, carried = [], None
        for frame in frames.double():
            x, grid = self.embed(frame)
            for number in range(self.depth - self.blocks):
                x = self.block(x, number)
            start = self.state['query.weight']
            if carried is not None:
                start = start + self.linear(carried, 'query_updater')
            x = torch.cat((start, x))
            layers = []
            for number in range(self.depth - self.blocks, self.depth):
                layers.append(self.predict(x, grid, self.norm_early))
                x = self.block(x, number)
            layers.append(self.predict(x, grid, True))
            carried = x[:self.queries]
            found.append(layers)
        return found


def at_points(fmap: Tensor, points: Tensor) -> Tensor:
    """Values (P,) of a map (h, w) at points (P, 2), bilinear; 0 outside."""
    h, w = fmap.shape
    padded = F.pad(fmap, (1, 1, 1, 1))
    x, y = points[:, 0].double() * w + .5, points[:, 1].double() * h + .5
    left, top = x.floor().long(), y.floor().long()
    dx, dy = x - left, y - top
    right = (left + 1).clamp(max=w + 1)
    below = (top + 1).clamp(max=h + 1)
    return ((1 - dy) * ((1 - dx) * padded[top, left]
                        + dx * padded[top, right])
            + dy * ((1 - dx) * padded[below, left]
                    + dx * padded[below, right]))


def match_clip(layers: list[tuple[Tensor, Tensor]], labels: np.ndarray,
               ids: np.ndarray, masks: np.ndarray, points: Tensor
               ) -> dict[int, int]:
    """The query of each object of a clip.

    Args:
        layers: class and mask logits of each frame, of one layer.
        labels: (G,), of the objects.
        ids: (T, G), negative where an object is absent.
        masks: (T, G, H, W) of the input.
        points: (P, 2), where masks are compared.
    """
    held: dict[int, int] = {}
    for t, (logits, mask_logits) in enumerate(layers):
        new = [g for g in range(len(labels)) if ids[t, g] >= 0
               and g not in held]
        if not new:
            continue
        free = [q for q in range(len(logits)) if q not in held.values()]
        cost = np.zeros((len(free), len(new)))
        probs = logits.softmax(1)
        for i, q in enumerate(free):
            x = at_points(mask_logits[q], points)
            for j, g in enumerate(new):
                y = at_points(torch.from_numpy(masks[t, g]).double(), points)
                bce = F.binary_cross_entropy_with_logits(x, y)
                p = x.sigmoid()
                dice = 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)
                cost[i, j] = float(-2 * probs[q, labels[g]] + 5 * bce
                                   + 5 * dice)
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            held[new[j]] = free[i]
    return held


def clip_losses(clips: list, truths: list[tuple], points: Points,
                num_points: int) -> tuple[dict[str, Tensor], list]:
    """Losses of a batch of clips, and of each layer and clip the matches.

    Args:
        clips: what :meth:`Reading.clip` gives of each.
        truths: ``labels``, ``ids``, ``masks`` of each; see
            :func:`match_clip`.
        points: number to points (P, 2).
        num_points: points of a mask.
    """
    losses, matches = {}, []
    count = max(1, sum(ids.shape[0] * len(labels)
                       for labels, ids, _ in truths))
    layers = len(clips[0][0])
    for layer in range(layers):
        rows: list[Tensor] = []
        weights: list[float] = []
        mask_loss = dice_loss = torch.zeros((), dtype=torch.float64)
        found = []
        for frames, (labels, ids, masks) in zip(clips, truths, strict=True):
            own = [frame[layer] for frame in frames]
            with torch.no_grad():
                held = match_clip(own, labels, ids, masks,
                                  points(num_points))
            found.append(held)
            for t, (logits, mask_logits) in enumerate(own):
                none = logits.shape[1] - 1
                target = [none] * len(logits)
                for g, q in held.items():
                    target[q] = int(labels[g])
                for q, label in enumerate(target):
                    weight = .1 if label == none else 1.
                    rows.append(-weight * logits[q].log_softmax(0)[label])
                    weights.append(weight)
                for g, q in held.items():
                    mask = torch.from_numpy(masks[t, g]).double() * float(
                        ids[t, g] >= 0)
                    with torch.no_grad():
                        some = points(3 * num_points)
                        sure = at_points(mask_logits[q], some).abs()
                        unsure = int(.75 * num_points)
                        chosen = torch.cat((
                            some[sure.argsort()[:unsure]],
                            points(num_points - unsure)))
                    x, y = at_points(mask_logits[q], chosen), at_points(
                        mask, chosen)
                    p = x.sigmoid()
                    mask_loss = mask_loss + \
                        F.binary_cross_entropy_with_logits(x, y)
                    dice_loss = dice_loss + 1 - (2 * (p * y).sum() + 1) / (
                        p.sum() + y.sum() + 1)
        prefix = '' if layer == layers - 1 else f'd{layer}.'
        losses[f'{prefix}loss_cls'] = 2 * sum(rows) / sum(weights)
        losses[f'{prefix}loss_mask'] = 5 * mask_loss / count
        losses[f'{prefix}loss_dice'] = 5 * dice_loss / count
        matches.append(found)
    return losses, matches


def video_result(frames: list[tuple[Tensor, Tensor]], image_hw: tuple,
                 input_hw: tuple, ori_hw: tuple, best: int = 10
                 ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries, labels, scores and masks (n, T, H, W) of the best pairs.

    Args:
        frames: class and mask logits of each.
        image_hw, input_hw, ori_hw: sizes of the frame in the input, of the
            input, and of the frame as it was.
        best: number of pairs.
    """
    mean = sum(logits for logits, _ in frames) / len(frames)
    scores = mean.softmax(1)[:, :-1]
    order = scores.flatten().argsort(descending=True)[:best].tolist()
    queries = [i // scores.shape[1] for i in order]
    labels = [i % scores.shape[1] for i in order]
    masks = []
    for q in queries:
        own = []
        for _, mask_logits in frames:
            full = F.interpolate(mask_logits[None, None, q], size=input_hw,
                                 mode='bilinear', align_corners=False)
            full = full[..., :image_hw[0], :image_hw[1]]
            own.append(F.interpolate(full, size=ori_hw, mode='bilinear',
                                     align_corners=False)[0, 0] > 0)
        masks.append(torch.stack(own))
    return (np.array(queries), np.array(labels),
            np.array([float(scores.flatten()[i]) for i in order]),
            torch.stack(masks).numpy())
