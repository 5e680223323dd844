"""What several passes of a model say of an example, beside what they say of others of its class.

Legend: P passes, B batch, C classes, S summaries (5), F features (19), K remembered examples of a class, A categories
(passes agree with the label, or do not).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-8


def summaries(logits_PBC: Tensor, labels_B: Tensor) -> Tensor:
    """Return mean and deviation of loss and largest probability over the passes, and whether most passes agree."""
    log_p_PBC, P = logits_PBC.detach().double().log_softmax(2), len(logits_PBC)
    losses_PB = -log_p_PBC.gather(2, labels_B.expand(P, -1)[:, :, None])[:, :, 0]
    parts = []
    for values_PB in (losses_PB, log_p_PBC.amax(2).exp()):
        parts += [values_PB.mean(0), values_PB.std(0) if P > 1 else torch.zeros_like(values_PB[0])]
    right_PB = log_p_PBC.argmax(2) == labels_B
    votes_B = 2 * right_PB.sum(0)
    agrees_B = (votes_B > P) | ((votes_B == P) & right_PB[0])
    return torch.stack([*parts, agrees_B.double()], dim=1)


def divergence(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of a normal distribution from another; 0 where either is a point."""
    points = (std == 0) | (other_std == 0)
    std, other_std = std.masked_fill(points, 1), other_std.masked_fill(points, 1)
    value = (other_std / std).log() + (std.square() + (mean - other_mean).square()) / (2 * other_std.square()) - 0.5
    return value.masked_fill(points, 0)


def overlap(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """Return the area that two normal densities share; a point has the deviation EPS (`statistics.NormalDist`)."""
    std, other_std = torch.broadcast_tensors(std.clamp(min=EPS), other_std.clamp(min=EPS))
    narrow = std <= other_std
    x_mean, y_mean = torch.where(narrow, mean, other_mean), torch.where(narrow, other_mean, mean)
    x_std, y_std = torch.minimum(std, other_std), torch.maximum(std, other_std)
    wider, apart = y_std.square() - x_std.square(), (y_mean - x_mean).abs()
    equal = wider == 0
    wider = wider.masked_fill(equal, 1)
    a = x_mean * y_std.square() - y_mean * x_std.square()
    b = x_std * y_std * (apart.square() + wider * 2 * (y_std / x_std).log()).sqrt()

    def gap(x: Tensor) -> Tensor:
        return (torch.special.ndtr((x - y_mean) / y_std) - torch.special.ndtr((x - x_mean) / x_std)).abs()

    return torch.where(equal, torch.erfc(apart / (8**0.5 * x_std)), 1 - gap((a + b) / wider) - gap((a - b) / wider))


def features(memory_CKS: Tensor, filled_CK: Tensor, summaries_BS: Tensor, kin_B: Tensor) -> Tensor:
    """Return what the rescaler sees of each example: itself against those of its class that agree as it does."""
    category_B = (1 - summaries_BS[:, 4]).long()
    agrees_CK = memory_CKS[:, :, 4] == 1
    kin_CAK = torch.stack([filled_CK & agrees_CK, filled_CK & ~agrees_CK], dim=1)
    count_CA = kin_CAK.sum(2)

    def moments(values_CAK: Tensor) -> tuple[Tensor, Tensor]:
        mean_CA = (values_CAK * kin_CAK).sum(2) / count_CA.clamp(min=1)
        squares_CA = ((values_CAK - mean_CA[:, :, None]).square() * kin_CAK).sum(2)
        return mean_CA, torch.where(count_CA > 1, (squares_CA / (count_CA - 1).clamp(min=1)).sqrt(), EPS)

    columns, levels = [], []
    for s in range(4):
        mean_CA, std_CA = moments(memory_CKS[:, None, :, s].expand_as(kin_CAK))
        columns += [summaries_BS[:, s], mean_CA[kin_B, category_B], std_CA[kin_B, category_B]]
        levels.append(mean_CA)
    for measure in (divergence, overlap):
        own_B = measure(
            summaries_BS[:, 0], summaries_BS[:, 1], levels[0][kin_B, category_B], levels[1][kin_B, category_B]
        )
        of_all_CAK = measure(
            memory_CKS[:, None, :, 0], memory_CKS[:, None, :, 1], levels[0][:, :, None], levels[1][:, :, None]
        )
        mean_CA, std_CA = moments(of_all_CAK)
        columns += [own_B, mean_CA[kin_B, category_B], std_CA[kin_B, category_B]]
    return torch.stack([*columns, summaries_BS[:, 4]], dim=1)


class Memory(nn.Module):
    """The summaries of the last K examples of each class; the current step is taken in once, however often asked."""

    before: Tensor
    before_filled: Tensor
    after: Tensor
    after_filled: Tensor

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.size, self.step = size, -1
        for name, kept in (("before", False), ("after", True)):
            self.register_buffer(name, torch.zeros(classes, size, 5, dtype=torch.float64), persistent=kept)
            self.register_buffer(f"{name}_filled", torch.zeros(classes, size, dtype=torch.bool), persistent=kept)

    def features(self, summaries_BS: Tensor, kin_B: Tensor, step: int) -> Tensor:
        """Take in the examples of a step and return their features."""
        if self.step != step:
            self.before, self.before_filled, self.step = self.after, self.after_filled, step
        own_CB = torch.arange(len(self.before), device=kin_B.device)[:, None] == kin_B
        filled = torch.cat([self.before_filled, own_CB], dim=1)
        last = filled.byte().argsort(dim=1, stable=True)[:, -self.size :]
        known = torch.cat([self.before, summaries_BS.expand(len(own_CB), -1, -1).to(self.before.dtype)], dim=1)
        self.after, self.after_filled = known.gather(1, last[:, :, None].expand(-1, -1, 5)), filled.gather(1, last)
        return features(self.after.double(), self.after_filled, summaries_BS, kin_B)
