"""Weights of the experts for which the unlabelled test part is predicted most alike in two augmented views.

Source: Zhang, Hooi, Hong and Feng 2022, "Self-supervised aggregation of diverse experts for test-agnostic long-tailed
recognition"; github.com/Vanint/SADE-AgnosticLT, test_training_cifar.py and configs/test_time_cifar100_ir100_sade.json:
the weights are the softmax of learned numbers, started at 1 / E, and the mean cosine similarity between the views'
softmaxed aggregates is ascended by SGD with Nesterov momentum, until a weight, rounded to two digits, is below `stop`
at the end of an epoch.
Shapes: views_VBEC -> weights_E; logits_BEC -> Scores of shape BC.
Units: none.
Raises: ImpossibleCell without views, or where both views are the same because training had no augmentation.
Differs from the source: the same two views serve every epoch, where the code augments anew; the augmentation is the
one of training. Minibatches of 128 as there, in a fixed random order. It is transductive: the test part's inputs,
never its labels, take part.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor
from torch.nn import functional as F

from counterpoise import streams
from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.evidence import Evidence, Rule, score


def aggregate(logits: Tensor, weights_E: Tensor) -> Tensor:
    """Return the weighted sum over the experts, the last axis but one."""
    return (logits * weights_E[:, None]).sum(-2)


def stability(views_VBEC: Tensor, weights_E: Tensor) -> Tensor:
    """Return the mean cosine similarity between the predictions of both views."""
    first_BC, second_BC = aggregate(views_VBEC, weights_E).softmax(2)
    return F.cosine_similarity(first_BC, second_BC, dim=1, eps=1e-6).mean()


@dataclass(frozen=True)
class Method:
    """Test-time aggregation of experts."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    needs_experts: ClassVar[bool] = True
    lr: Annotated[float, Gt(0)] = 0.1
    """Step size (the source: 0.1 for CIFAR, 0.025 ImageNet-LT, 0.2 iNaturalist, 0.01 Places-LT)."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    """Of Nesterov's kind."""
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    """Draws the learned numbers to 0, so the weights to each other."""
    batch_size: Annotated[int, Ge(1)] = 128
    """Test examples of one step."""
    epochs: Annotated[int, Ge(1)] = 5
    """Passes over the test part at the most."""
    stop: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    """The weight below which learning ends, so that no expert is left out altogether."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that aggregates with the learned weights."""
        if evidence.expert_views_VBEC is None:
            raise ImpossibleCell(
                "sade_aggregation reads what each expert says of two views of the test part: none kept"
            )
        if torch.equal(*evidence.expert_views_VBEC):
            raise ImpossibleCell("the two views of the test part are the same: set finetune.augmentation, e.g. shift")
        weights_E = self.weights(evidence.expert_views_VBEC)
        return lambda logits_BEC: score(aggregate(logits_BEC, weights_E))

    def weights(self, views_VBEC: Tensor) -> Tensor:
        """Return the weight of each expert; they sum to 1."""
        examples, E = views_VBEC.shape[1:3]
        learned_E = views_VBEC.new_full((E,), 1 / E)
        velocity_E = torch.zeros_like(learned_E)
        for epoch in range(self.epochs):
            order = torch.randperm(
                examples, generator=streams.torch_generator("evaluate", "sade_aggregation", 0, epoch)
            )
            for rows in order.split(self.batch_size):
                learned_E.requires_grad_()
                (ascent_E,) = torch.autograd.grad(stability(views_VBEC[:, rows], learned_E.softmax(0)), learned_E)
                learned_E = learned_E.detach()
                slope_E = self.weight_decay * learned_E - ascent_E
                velocity_E = self.momentum * velocity_E + slope_E
                learned_E = learned_E - self.lr * (slope_E + self.momentum * velocity_E)
            if (learned_E.softmax(0).round(decimals=2) < self.stop).any():
                break
        return learned_E.softmax(0)
