"""What MemCNP does in a trained model: does each of its parts act?

Over batches of the config's training data:

- memory: how many items a point inside a box reads (the exponential of the
  entropy of its weights), how much the context varies from point to point,
  and how far the box of the most similar item is off (Fig. 7), beside a
  constant box;
- likelihood: gradient norms of GIoU, L_nll and R_sigma on the outputs that
  make mu and sigma, sigma at the positives, the share at its floor;
- USS: the share of positives that centredness alone would not have chosen,
  of all objects and of those whose box meets another.

``--mean-context FILE`` also saves the model with its context replaced by the
mean of all points, to be tested like any checkpoint: what it loses is what
the memory's reading is worth.

Examples:

    python tools/analysis_tools/memcnp_report.py CONFIG CHECKPOINT --json
    python tools/analysis_tools/memcnp_report.py CONFIG CHECKPOINT \\
        --mean-context outputs/constant.pth
"""
from __future__ import annotations

from mmvis_memcnp.cli.signals import answer_early

if __name__ == '__main__':
    answer_early()

import argparse
import copy
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmvis_memcnp.apis import VISInferencer
from mmvis_memcnp.cli import preflight
from mmvis_memcnp.cli.options import add_model_options
from mmvis_memcnp.cli.output_options import add_overwrite_option
from mmvis_memcnp.cli.run import run_tool
from mmvis_memcnp.datasets import sync_classes
from mmvis_memcnp.errors import UserError
from mmvis_memcnp.models.memcnp import MemCNPLoss, MemoryBank
from mmvis_memcnp.models.memcnp.distribution import SIGMA_MIN
from mmvis_memcnp.models.vis import DVISDAQ
from mmvis_memcnp.results.ownership import check_file, new_file

#: Sigma counts as at its floor below this.
FLOOR = SIGMA_MIN * 1.05


class Parts(NamedTuple):
    """Where a host keeps what MemCNP consists of.

    Attributes:
        bank: The memory.
        readouts: Encoders of what is read; the first is the one looked at.
        loss: The loss of the distributions.
        assigner: USS.
        outputs: Weight whose first four rows make mu and last four sigma.
        geometric: Name of the GIoU loss.
    """
    bank: MemoryBank
    readouts: list[nn.Module]
    loss: MemCNPLoss
    assigner: Any
    outputs: Tensor
    geometric: str


def parts_of(model: Any) -> Parts:
    """The parts of a dense or a query host."""
    head = getattr(model, 'bbox_head', None)
    if head is not None and getattr(head, 'memcnp', None) is not None:
        bank = head.memcnp.bank
        found = Parts(bank, [bank.mlp], head.loss_cnp, head.assigner,
                      head.fcos_reg.weight, 'loss_bbox')
    elif getattr(model, 'memcnp', None) is not None and isinstance(
            model, DVISDAQ):
        bank, rules = model.memcnp.bank, model.memcnp_training
        found = Parts(bank, [bank.mlp], rules.loss, rules.assigner,
                      model.tracker.memcnp.box_branch.last.weight,
                      'loss_giou')
    elif getattr(model, 'memcnp', None) is not None:
        branches = list(model.segmenter.box_branches)[::-1]
        rules = model.memcnp_training
        found = Parts(model.memcnp.bank, [b.readout for b in branches],
                      rules.loss, rules.assigner, branches[0].last.weight,
                      'loss_giou')
    else:
        raise UserError('This model has no MemCNP: there is nothing to '
                        'report.')
    if not isinstance(found.bank, MemoryBank):
        raise UserError('The context of this model is no memory bank: use a '
                        "config with memcnp of type 'MemCNP'.")
    return found


class Recorder:
    """Keeps what a training step hands to MemCNP's parts."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.writes: list[tuple[Tensor, Tensor, Tensor]] = []
        self.terms: list[tuple] = []
        self.picks: list[tuple[tuple, dict, Any]] = []
        # Measured, not trained: the memory stays as it was saved.
        parts.bank.write = self.write  # type: ignore[method-assign]
        self._terms, self._match = parts.loss.terms, parts.assigner.match
        parts.loss.terms = self.term  # type: ignore[method-assign]
        parts.assigner.match = self.match
        self.plain = copy.copy(parts.assigner)
        self.plain.__dict__.pop('match', None)
        self.plain.lambda_tau = 0.

    def write(self, z: Tensor, y: Tensor, valid: Tensor) -> Tensor:
        self.writes.append((z.detach(), y, valid))
        return self.parts.bank.similarity(z)

    def term(self, support, *args, **kwargs):
        found = self._terms(support, *args, **kwargs)
        self.terms.append((support, *found))
        return found

    def match(self, *args, **kwargs):
        found = self._match(*args, **kwargs)
        self.picks.append((args, kwargs, found))
        return found


def share(part: Tensor, whole: Tensor) -> float:
    """Sum over sum."""
    return float(part.sum() / whole.sum().clamp(min=1))


def meets_another(boxes: Tensor, valid: Tensor) -> Tensor:
    """(B, G) bool: objects whose box overlaps that of another."""
    start = torch.maximum(boxes[..., None, :, :2], boxes[..., None, :2])
    end = torch.minimum(boxes[..., None, :, 2:], boxes[..., None, 2:])
    meets = (end > start).all(-1) & valid[..., None] & valid[..., None, :]
    meets &= ~torch.eye(boxes.shape[-2], dtype=torch.bool,
                        device=boxes.device)
    return meets.any(-1)


def selection(recorder: Recorder) -> dict[str, float]:
    """How many positives are not those of centredness alone."""
    rows = defaultdict(list)
    for args, kwargs, found in recorder.picks:
        if len(args) >= 4:  # points: priors, levels, boxes, valid
            boxes, valid = args[2], args[3]
            kwargs = {k: v for k, v in kwargs.items()
                      if k != 'centreness_map'}
        else:
            boxes, valid = args[1].xyxy, args[1].valid
            if boxes.dim() == 4:  # clips: of the first frame
                boxes = boxes[:, :, 0]
        plain = recorder.plain.match(*args, **kwargs)
        other = found.pos & (plain.gt_index != found.gt_index)
        overlap = meets_another(boxes, valid)
        overlap = overlap.expand(*found.pos.shape[:-1], overlap.shape[-1])
        inside = found.pos & overlap.gather(-1, found.gt_index.clamp(min=0))
        for name, part, whole in (('all', other, found.pos),
                                  ('overlaps', other & inside, inside)):
            rows[name].append((part.sum(), whole.sum()))
    return {name: share(torch.stack([p for p, _ in r]).float(),
                        torch.stack([w for _, w in r]).float())
            for name, r in rows.items()}


@torch.no_grad()
def memory(recorder: Recorder) -> tuple[dict[str, float], list[Tensor]]:
    """What points inside boxes read, and the mean contexts of all points."""
    parts = recorder.parts
    z, y, valid = (torch.cat(x) for x in zip(*recorder.writes, strict=True))
    scores = parts.bank.similarity(z)
    weights = parts.bank.weights(scores)
    means = []
    for readout in parts.readouts:
        context = parts.bank.read(z, scores)
        if parts.bank.mlp is None:
            context = readout(context)
        means.append(context.mean(0))
    context = parts.bank.read(z, scores)
    if parts.bank.mlp is None:
        context = parts.readouts[0](context)
    inside = context[valid]
    centred = inside - inside.mean(0)
    weights = weights[valid]
    entropy = -(weights * weights.clamp(min=1e-12).log()).sum(1)
    winner = scores[valid].argmax(1)
    top = parts.bank.items[winner, parts.bank.feat_dims:]
    error = (top - y[valid]).abs().mean() / 2  # y is twice a distance
    constant = (y[valid] - y[valid].mean(0)).abs().mean() / 2
    return dict(
        effective_items=float(entropy.exp().mean()),
        items=parts.bank.num_items,
        items_that_win=len(winner.unique()),
        context_spread=float(centred.norm(dim=1).square().mean().sqrt() /
                             inside.norm(dim=1).square().mean().sqrt()),
        top_item_box_error=float(error),
        constant_box_error=float(constant)), means


def gradients(recorder: Recorder, losses: dict[str, Tensor]
              ) -> dict[str, float]:
    """Gradient norms of each term on the rows of mu and of sigma.

    Those of the likelihood and of R_sigma are their parts of the host's own
    ``loss_cnp``, with whatever it averages over.
    """
    parts = recorder.parts
    _, score, regulariser = recorder.terms[0]
    found = {}
    for name, value in dict(giou=losses[parts.geometric], nll=score,
                            r_sigma=regulariser).items():
        weight = None
        if name != 'giou':
            weight, = torch.autograd.grad(losses['loss_cnp'], value,
                                          retain_graph=True)
        grad, = torch.autograd.grad(value, parts.outputs, weight,
                                    retain_graph=True, allow_unused=True)
        for rows, of in ((slice(4), 'mu'), (slice(4, 8), 'sigma')):
            found[f'{name}_on_{of}'] = 0. if grad is None else \
                float(grad[rows].norm())
    return found


def report(model: Any, loader: Any, batches: int
           ) -> tuple[dict[str, Any], list[Tensor]]:
    """All figures, and the mean context of each readout."""
    parts = parts_of(model)
    recorder = Recorder(parts)
    norms, sigmas = defaultdict(list), []
    model.train()
    for _, data in zip(range(batches), loader, strict=False):
        data = model.data_preprocessor(data, True)
        recorder.terms.clear()
        losses = model(**data, mode='loss')
        for name, value in gradients(recorder, losses).items():
            norms[name].append(value)
        sigmas.append(recorder.terms[0][0].sigma.detach().flatten())
    found, means = memory(recorder)
    sigma = torch.cat(sigmas)
    mean = {n: sum(v) / len(v) for n, v in norms.items()}
    return dict(
        memory=found,
        gradients={n: round(v, 6) for n, v in mean.items()},
        nll_to_giou_on_mu=statistics.median(
            nll / max(giou, 1e-12) for nll, giou in zip(
                norms['nll_on_mu'], norms['giou_on_mu'], strict=True)),
        sigma=dict(
            box_unit=parts.loss.box_unit, median=float(sigma.median()),
            at_floor=float((sigma < FLOOR).float().mean())),
        uss_differs=selection(recorder)), means


def save_constant(model: Any, means: list[Tensor], path: Path,
                  overwrite: bool = False) -> None:
    """The model with a context that does not depend on the point."""
    for readout, mean in zip(parts_of(model).readouts, means, strict=True):
        readout.fc2.weight.data.zero_()
        readout.fc2.bias.data.copy_(mean)
    with new_file(path, overwrite, '--mean-context') as part:
        torch.save(dict(state_dict=model.state_dict()), part)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--batches', type=int, default=20,
                        help='training batches (default: %(default)s)')
    parser.add_argument('--json', action='store_true',
                        help='the figures as one line of json')
    parser.add_argument('--mean-context', type=Path, metavar='FILE',
                        help='save the model with a constant context')
    add_overwrite_option(parser)
    add_model_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.mean_context:
        check_file(args.mean_context, '--mean-context', args.overwrite,
                   [args.checkpoint])
    inferencer = VISInferencer.from_args(args)
    cfg = inferencer.cfg
    preflight.check_parts(cfg, args.config, 'train_dataloader')
    sync_classes(cfg)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    torch.manual_seed(0)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    figures, means = report(inferencer.model, loader, args.batches)
    print(json.dumps(figures, indent=None if args.json else 1))
    if args.mean_context:
        save_constant(inferencer.model, means, args.mean_context,
                      args.overwrite)


if __name__ == '__main__':
    run_tool(main)
