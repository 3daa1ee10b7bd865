"""Training rules of MemCNP: mixture likelihood, plain NLL, energy score."""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..layers.segments import segment_count, segment_logsumexp, segment_mean
from .distribution import at_least_float32, in_object_unit, log_prob

PHI_EPS = 1e-9
#: Eq 11 where there is no object: neither its class nor any overlap.
NOTHING = 2.


class Support(NamedTuple):
    """Supporting samples of all ground truths of a batch.

    P samples, G ground truths; a ground truth may have none.

    Attributes:
        mu: (P, 4), predicted boxes, xyxy as fractions of the padded network
            input (SipMask) or of the frame without padding (query systems).
        sigma: (P, 4), standard deviations of the edges, in the loss'
            ``box_unit``.
        phi: (P,), centreness of a sample in its ground truth: the mixing
            weight before normalisation.
        gt_index: (P,) int64, ground truth of each sample.
        gt_boxes: (G, 4), in the units of ``mu``.
        uncertainty: (P,), :func:`target_uncertainty`.
    """
    mu: Tensor
    sigma: Tensor
    phi: Tensor
    gt_index: Tensor
    gt_boxes: Tensor
    uncertainty: Tensor

    def at_least_float32(self) -> 'Support':
        """The same without half precision."""
        return Support(*(at_least_float32(field) for field in self))


class Candidates(NamedTuple):
    """Samples whose standard deviations are regularised (eq 12).

    Attributes:
        sigma: (M, 4).
        gt_index: (M,) int64, ground truth of each sample.
        uncertainty: (M,), :func:`target_uncertainty`.
    """
    sigma: Tensor
    gt_index: Tensor
    uncertainty: Tensor


def target_uncertainty(prob: Tensor, iou: Tensor) -> Tensor:
    """What sigma is regularised towards (eq 11).

    Args:
        prob (Tensor): Shape (P,), the host's probability of the ground
            truth's class, in [0, 1].
        iou (Tensor): Shape (P,), IoU of predicted and ground-truth box.

    Returns:
        Tensor: Shape (P,), in [0, 2], without gradient.
    """
    return (2 - prob - iou).detach()


def mixture_nll(support: Support) -> Tensor:
    """Negative log-likelihood of each box under its mixture (eqs 9, 10).

    The mixing weights are the centreness values of a ground truth's samples,
    normalised to sum to one, without gradient.

    Returns:
        Tensor: Shape (G,), zero without support.
    """
    mu, sigma, phi, index, boxes, _ = support
    num = len(boxes)
    log_phi = (phi.detach() + PHI_EPS).log()
    log_weight = log_phi - segment_logsumexp(log_phi, index, num)[index]
    joint = log_weight + log_prob(boxes[index], mu, sigma)
    return -segment_logsumexp(joint, index, num)


def plain_nll(support: Support) -> Tensor:
    """Mean negative log-likelihood over each box's samples (eq 8).

    Returns:
        Tensor: Shape (G,), zero without support.
    """
    mu, sigma, _, index, boxes, _ = support
    return -segment_mean(
        log_prob(boxes[index], mu, sigma), index, len(boxes))


def energy_score(support: Support,
                 samples: Tensor | None = None,
                 num_samples: int = 128) -> Tensor:
    """Monte-Carlo energy score of each supporting Normal, averaged.

    After Harakeh and Waslander (ICLR 2021): the mean distance of draws to
    the ground truth less half the mean distance between successive draws.
    Draws are reparameterised, so that mu and sigma get gradients.

    Args:
        support (Support): The supporting samples.
        samples (Tensor, optional): Standard normal noise (M, P, 4), M > 1, to
            use instead of drawing it.
        num_samples (int): Draws M when they are drawn. Defaults to 128.

    Returns:
        Tensor: Shape (G,), zero without support.
    """
    mu, sigma, _, index, boxes, _ = support
    if samples is None:
        samples = torch.randn(
            (num_samples, *mu.shape), dtype=mu.dtype, device=mu.device)
    draws = mu + sigma * samples
    error = (draws - boxes[index]).norm(dim=-1).mean(0)
    spread = (draws[1:] - draws[:-1]).norm(dim=-1).mean(0)
    return segment_mean(error - 0.5 * spread, index, len(boxes))


@MODELS.register_module()
class MemCNPLoss(nn.Module):
    r"""Loss of the box distribution, ``alpha * L_nll + R_sigma`` (eqs 8-14).

    For each ground truth: the rule's score of its supporting samples times
    alpha, plus the distance of the sigmas of its candidates to their target
    uncertainty (eq 12). Then the mean over the ground truths that have
    support.

    alpha keeps the log-probability in range; by its purpose it scales the
    score only, not R_sigma. docs/uncertainty.md shows what each term does to
    mu and sigma.

    Args:
        rule (str): 'gmm' (eqs 9, 10), 'nll' (eq 8) or 'energy'. Defaults to
            'gmm'.
        sigma_weight (float): Weight of R_sigma; with a higher one sigma keeps
            closer to its target. 0 switches it off. Defaults to 1.0.
        alpha (str): What the paper's "supporting samples" are counted over:
            'image' = all samples that the image's objects have, since eq 14
            has one alpha for all of them; 'support' = the samples of the
            ground truth (the I of eq 9), where L_nll comes to outweigh GIoU
            on mu; 'points' = all locations of the image, as the released code
            does, where L_nll trains next to nothing. Defaults to 'image'.
        box_unit (str): The "normalised coordinate format" of eq 8, which
            sigma is measured in as well. 'object': the object's own box is
            [-1, 1]^2, so that sigma's floor is a twentieth of a side and its
            targets, in [0, 2], are within reach of what boxes miss by.
            'image': fractions of the image, as in the released code.
            Defaults to 'object'.
        sigma_samples (str): The candidates of eq 12: 'inside' = all points or
            queries inside the box (section 3.3's candidate set), so that
            sigma is trained wherever a detection may come from;
            'positives' = the selected ones, as in the released code;
            'everywhere' = 'inside', and those in no box as well, which are
            drawn to 2, what eq 11 is where there is neither class nor
            overlap (:meth:`outside`). Defaults to 'inside'.
        sigma_norm (str): The norm of eq 12: 'l1' = the 1-norm over the four
            edges; 'smooth_l1' = the mean smooth L1 distance, as in the
            released code. Defaults to 'l1'.
        reduction (str): 'gt_mean' = mean over ground truths with support
            (eq 10); 'image_sum' = sum over the ground truths of an image,
            mean over the images that have any, as the released code does.
            Defaults to 'gt_mean'.

    Raises:
        ValueError: For an unknown option.
    """
    #: What each option may be, the default first.
    choices = dict(
        rule=('gmm', 'nll', 'energy'),
        alpha=('image', 'support', 'points'),
        box_unit=('object', 'image'),
        sigma_samples=('inside', 'positives', 'everywhere'),
        sigma_norm=('l1', 'smooth_l1'),
        reduction=('gt_mean', 'image_sum'))

    def __init__(self,
                 rule: str = 'gmm',
                 sigma_weight: float = 1.0,
                 alpha: str = 'image',
                 box_unit: str = 'object',
                 sigma_samples: str = 'inside',
                 sigma_norm: str = 'l1',
                 reduction: str = 'gt_mean') -> None:
        super().__init__()
        given = dict(
            rule=rule, alpha=alpha, box_unit=box_unit,
            sigma_samples=sigma_samples, sigma_norm=sigma_norm,
            reduction=reduction)
        for name, value in given.items():
            if value not in self.choices[name]:
                raise ValueError(f'{name} must be one of '
                                 f'{self.choices[name]}, got {value!r}.')
        self.rule = rule
        self.sigma_weight = sigma_weight
        self.alpha = alpha
        self.box_unit = box_unit
        self.sigma_samples = sigma_samples
        self.sigma_norm = sigma_norm
        self.reduction = reduction

    def forward(self,
                support: Support,
                candidates: Candidates | None = None,
                num_points: int | None = None,
                num_images: Tensor | int | None = None,
                per_image: int | None = None,
                samples: Tensor | None = None) -> Tensor:
        """Loss of a batch.

        Args:
            support (Support): Of all ground truths.
            candidates (Candidates, optional): For ``sigma_samples='inside'``.
                Defaults to None: the supporting samples.
            num_points (int, optional): Locations of an image, for
                ``alpha='points'``.
            num_images (Tensor | int, optional): Images that have a ground
                truth, for ``reduction='image_sum'``.
            per_image (int, optional): Rows of ``gt_boxes`` an image, for
                ``alpha='image'``. Defaults to None: all are of one image.
            samples (Tensor, optional): Noise of the energy score (M, P, 4).

        Returns:
            Tensor: Scalar; zero, with the graph attached, without support.

        Raises:
            ValueError: If the number that an option asks for is missing.
        """
        loss, supported = self.per_box(support, candidates, num_points,
                                       per_image, samples)
        total = loss.sum()
        if self.reduction == 'gt_mean':
            return total / supported.sum().clamp(min=1)
        if num_images is None:
            raise ValueError("reduction='image_sum' needs num_images.")
        return total / torch.as_tensor(num_images).clamp(min=1)

    def per_box(self,
                support: Support,
                candidates: Candidates | None = None,
                num_points: int | None = None,
                per_image: int | None = None,
                samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss of each ground truth, for a host that averages by itself.

        Args:
            support, candidates, num_points, per_image, samples: As in
                :meth:`forward`.

        Returns:
            tuple[Tensor, Tensor]: ``alpha * L_nll + R_sigma`` (G,), zero
            without support, and whether there is any, (G,) bool.
        """
        score, regulariser = self.terms(support, candidates, samples)
        supports = segment_count(support.gt_index, len(support.gt_boxes),
                                 score.dtype)
        if self.alpha == 'image':
            images = supports.view(-1, per_image or max(len(supports), 1))
            counts = images.sum(1, keepdim=True).expand_as(images)
            score = score / counts.reshape(-1).clamp(min=1)
        elif self.alpha == 'support':
            score = score / supports.clamp(min=1)
        else:
            if num_points is None:
                raise ValueError("alpha='points' needs num_points.")
            score = score / num_points
        loss = score + self.sigma_weight * regulariser
        return loss * (supports > 0), supports > 0

    def outside(self, sigmas: Tensor, outside: Tensor) -> Tensor:
        """R_sigma of what lies in no box: the distance to ``NOTHING``.

        Args:
            sigmas (Tensor): Shape (B, N, 4).
            outside (Tensor): Shape (B, N) bool.

        Returns:
            Tensor: Shape (B,), times ``sigma_weight``; the mean over these N,
            0 where there are none, and without
            ``sigma_samples='everywhere'``.
        """
        if self.sigma_samples != 'everywhere':
            return sigmas.new_zeros(len(sigmas))
        target = at_least_float32(sigmas.new_full((1, ), NOTHING))
        distance = self._distance(at_least_float32(sigmas), target)
        count = outside.sum(1).clamp(min=1)
        return self.sigma_weight * (distance * outside).sum(1) / count

    def terms(self,
              support: Support,
              candidates: Candidates | None = None,
              samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Score and regulariser of each ground truth, before alpha.

        Args:
            support, candidates, samples: As in :meth:`forward`.

        Returns:
            tuple[Tensor, Tensor]: Both of shape (G,), zero without samples.
        """
        support = support.at_least_float32()
        if candidates is None:
            candidates = Candidates(support.sigma, support.gt_index,
                                    support.uncertainty)
        if self.box_unit == 'object':
            own = support.gt_boxes
            support = support._replace(
                mu=in_object_unit(support.mu, own[support.gt_index]),
                gt_boxes=in_object_unit(own, own))
        if self.rule == 'gmm':
            score = mixture_nll(support)
        elif self.rule == 'nll':
            score = plain_nll(support)
        else:
            score = energy_score(support, samples)
        return score, self._regulariser(candidates, len(support.gt_boxes))

    def _regulariser(self, candidates: Candidates, num: int) -> Tensor:
        """R_sigma of each of ``num`` ground truths (eq 12)."""
        sigma = at_least_float32(candidates.sigma)
        target = at_least_float32(candidates.uncertainty)[:, None]
        return segment_mean(self._distance(sigma, target),
                            candidates.gt_index, num)

    def _distance(self, sigma: Tensor, target: Tensor) -> Tensor:
        """The norm of eq 12 over the last axis."""
        if self.sigma_norm == 'l1':
            return (sigma - target).abs().sum(-1)
        return F.smooth_l1_loss(
            sigma, target.expand_as(sigma), reduction='none').mean(-1)
