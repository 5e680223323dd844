"""Cumulative logit models of ordered classes: probability of the first classes, one boundary after the other.

P(y <= b) = sigmoid(alpha_b + x beta_b), with parameters (alpha, theta) and beta = basis theta. The mean log-likelihood
less the penalty is climbed by Newton steps, each solved by coordinate descent.
Legend: N rows, D columns, C classes, B = C - 1 boundaries, P parameters theta, Q = B + P.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST = 1e-8  # least probability of a class in the expected information
STEPS = 100
SWEEPS = 200


@dataclass
class Ordinal:
    """A fitted model, in the units of standardised columns."""

    classes_: np.ndarray
    mean_D: np.ndarray
    scale_D: np.ndarray
    alpha_B: np.ndarray
    beta_BD: np.ndarray

    def predict_proba(self, x_ND: np.ndarray) -> np.ndarray:
        """Return probability_NC; of boundaries that cross at a row the class between has none, the others share."""
        from scipy.special import expit

        edges = np.zeros((len(x_ND), 1)), expit(self._score(x_ND)), np.ones((len(x_ND), 1))
        share_NC = np.diff(np.concatenate(edges, axis=1), axis=1).clip(0)
        return share_NC / share_NC.sum(1, keepdims=True)

    def log_probability(self, x_ND: np.ndarray) -> np.ndarray:
        """Return its logarithm: sigmoid(h) - sigmoid(l) = sigmoid(h) sigmoid(-l) (1 - exp(l - h))."""
        from scipy.special import logsumexp

        score_NB = self._score(x_ND)
        ends = np.full((len(x_ND), 1), np.inf)
        low_NC = np.concatenate([-ends, score_NB], axis=1)
        high_NC = np.concatenate([score_NB, ends], axis=1)
        with np.errstate(divide="ignore"):  # boundaries that meet or cross leave the class between nothing
            log_NC = np.log(-np.expm1(np.minimum(low_NC - high_NC, 0)))
        log_NC -= np.logaddexp(0, -high_NC) + np.logaddexp(0, low_NC)
        return log_NC - logsumexp(log_NC, axis=1, keepdims=True)

    def _score(self, x_ND: np.ndarray) -> np.ndarray:
        return self.alpha_B + (x_ND - self.mean_D) / self.scale_D @ self.beta_BD.T


class Problem:
    """Rows, their weights, and what one parameter moves."""

    tolerance = 1e-10  # relative change of the objective at which steps end
    halvings = 30

    def __init__(self, x_ND: np.ndarray, code_N: np.ndarray, weights_N: np.ndarray | None, basis: np.ndarray) -> None:
        """Standardise the columns; `basis` [B, G] says how a boundary's weights add up from G groups of D."""
        x_ND = np.asarray_chkfinite(x_ND, np.float64)
        weights_N = np.ones(len(x_ND)) if weights_N is None else weights_N
        self.weights_N = weights_N / weights_N.sum()
        self.mean_D = self.weights_N @ x_ND
        deviation_D = np.sqrt(self.weights_N @ (x_ND - self.mean_D) ** 2)
        self.scale_D = np.where(deviation_D > np.finfo(np.float64).eps * np.abs(self.mean_D), deviation_D, 1.0)
        self.x_ND, self.code_N, self.basis_BG = (x_ND - self.mean_D) / self.scale_D, code_N, basis
        self.boundaries = len(basis)
        full = np.kron(basis, np.eye(x_ND.shape[1]))
        self.jacobian = np.block(  # of all alpha_B, beta_BD by alpha_B, theta_P
            [[np.eye(self.boundaries), np.zeros((self.boundaries, full.shape[1]))],
             [np.zeros((full.shape[0], self.boundaries)), full]]
        )  # fmt: skip

    def start(self) -> np.ndarray:
        """Return parameters without any column: the shares of the classes."""
        below_B = np.cumsum(np.bincount(self.code_N, self.weights_N, self.boundaries + 1))[:-1]
        return np.concatenate([np.log(below_B / (1 - below_B)), np.zeros(self.jacobian.shape[1] - self.boundaries)])

    def split(self, theta_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return alpha_B and beta_BD."""
        every = self.jacobian @ theta_Q
        return every[: self.boundaries], every[self.boundaries :].reshape(self.boundaries, -1)

    def loss(self, theta_Q: np.ndarray) -> float:
        """Return the mean negative log-likelihood; infinite where boundaries cross at a row of the class between."""
        share_N = self._observed(theta_Q)[0]
        if (share_N <= 0).any():
            return np.inf
        return float(-self.weights_N @ np.log(share_N))

    def _observed(self, theta_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the probability of each row's own class, and of its two boundaries [N, 2] which, value and slope."""
        from scipy.special import expit

        alpha_B, beta_BD = self.split(theta_Q)
        score_NB = alpha_B + self.x_ND @ beta_BD.T
        edge_N2 = self.code_N[:, None] + [-1, 0]
        is_inner_N2 = (edge_N2 >= 0) & (edge_N2 < self.boundaries)
        own_N2 = np.take_along_axis(score_NB, edge_N2.clip(0, self.boundaries - 1), axis=1)
        own_N2 = np.where(is_inner_N2, own_N2, [-np.inf, np.inf])
        low_N, high_N = own_N2.T
        # of two large scores the difference of what is left over is the one that keeps its digits
        share_N = np.where(low_N > 0, expit(-low_N) - expit(-high_N), expit(high_N) - expit(low_N))
        return share_N, edge_N2, expit(own_N2), expit(own_N2) * expit(-own_N2)

    def slope(self, theta_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of the mean log-likelihood and its observed information."""
        share_N, edge_N2, below_N2, density_N2 = self._observed(theta_Q)
        pull_N2 = density_N2 / share_N[:, None] * [-1, 1]
        curve_N2 = pull_N2**2 - pull_N2 * (1 - 2 * below_N2)
        between_N = self.code_N[:, None] == np.arange(1, self.boundaries)
        own_NB, pull_NB = (
            sum(values_N2[:, [e]] * (edge_N2[:, [e]] == np.arange(self.boundaries)) for e in (0, 1))
            for values_N2 in (curve_N2, pull_N2)
        )
        return self._assembled(pull_NB, own_NB, between_N * pull_N2.prod(1, keepdims=True))

    def _assembled(self, pull_NB: np.ndarray, own_NB: np.ndarray, next_NB: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and information of the parameters from those of each row's scores."""
        B, D = self.boundaries, self.x_ND.shape[1]
        ones_ND = np.concatenate([np.ones((len(self.x_ND), 1)), self.x_ND], axis=1)
        gradient, info = (self.weights_N[:, None] * pull_NB).T @ ones_ND, np.zeros((B, D + 1, B, D + 1))
        for b in range(B):
            info[b, :, b] = (ones_ND.T * (self.weights_N * own_NB[:, b])) @ ones_ND
        for b in range(1, B):
            info[b - 1, :, b] = (ones_ND.T * (self.weights_N * next_NB[:, b - 1])) @ ones_ND
            info[b, :, b - 1] = info[b - 1, :, b].T
        first, rest = np.split(np.arange(B * (D + 1)).reshape(B, D + 1), [1], axis=1)
        order = np.concatenate([first.ravel(), rest.ravel()])
        info = info.reshape(B * (D + 1), -1)[np.ix_(order, order)]
        return self.jacobian.T @ gradient.ravel()[order], self.jacobian.T @ info @ self.jacobian

    def largest_penalty(self) -> float:
        """Return the least penalty at which no column has any weight."""
        return float(np.abs(self.slope(self.start())[0][self.boundaries :]).max())

    def solve(self, penalty: float, theta_Q: np.ndarray) -> np.ndarray:
        """Return the parameters of least loss plus `penalty` times the absolute sum of theta, from `theta_Q` on."""
        penalty_Q = np.repeat([0.0, penalty], [self.boundaries, len(theta_Q) - self.boundaries])
        held = self.loss(theta_Q) + penalty_Q @ np.abs(theta_Q)
        for _ in range(STEPS):
            gradient_Q, info_QQ = self.slope(theta_Q)
            aim_Q = _descend(info_QQ, gradient_Q + info_QQ @ theta_Q, penalty_Q, theta_Q)
            for _ in range(self.halvings + 1):
                value = self.loss(aim_Q) + penalty_Q @ np.abs(aim_Q)
                if value <= held:
                    break
                aim_Q = (aim_Q + theta_Q) / 2
            else:
                return theta_Q
            theta_Q, gain, held = aim_Q, held - value, value
            if gain < self.tolerance * abs(held):
                break
        return theta_Q

    def fitted(self, theta_Q: np.ndarray, classes_C: np.ndarray) -> Ordinal:
        """Return the model with these parameters."""
        return Ordinal(classes_C, self.mean_D, self.scale_D, *self.split(theta_Q))


class Strict(Problem):
    """As ordinalNet 2.12 has it: expected information, and no class below 0 at any row, whichever class the row has.

    Where boundaries would cross at a row it halts, at a point that depends on the way there.
    """

    tolerance = 1e-8
    halvings = 10

    def _shares(self, theta_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from scipy.special import expit

        alpha_B, beta_BD = self.split(theta_Q)
        below_NB = expit(alpha_B + self.x_ND @ beta_BD.T)
        edges = np.zeros((len(below_NB), 1)), below_NB, np.ones((len(below_NB), 1))
        return below_NB, np.diff(np.concatenate(edges, axis=1), axis=1)

    def loss(self, theta_Q: np.ndarray) -> float:
        """Return the mean negative log-likelihood; infinite where boundaries cross at any row."""
        return np.inf if (self._shares(theta_Q)[1] < 0).any() else super().loss(theta_Q)

    def slope(self, theta_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of the mean log-likelihood and its expected information."""
        below_NB, share_NC = self._shares(theta_Q)
        share_NC = share_NC.clip(SMALLEST)
        share_NC /= share_NC.sum(1, keepdims=True)
        density_NB = below_NB * (1 - below_NB)
        ratio_NC = (np.arange(share_NC.shape[1]) == self.code_N[:, None]) / share_NC
        own_NB = density_NB**2 * (1 / share_NC[:, :-1] + 1 / share_NC[:, 1:])
        next_NB = -density_NB[:, :-1] * density_NB[:, 1:] / share_NC[:, 1:-1]
        return self._assembled(density_NB * (ratio_NC[:, :-1] - ratio_NC[:, 1:]), own_NB, next_NB)


def _descend(info_QQ: np.ndarray, pull_Q: np.ndarray, penalty_Q: np.ndarray, theta_Q: np.ndarray) -> np.ndarray:
    """Return the least of theta' info theta / 2 - pull' theta + penalty' |theta|, one coordinate after the other."""
    theta_Q, push_Q = theta_Q.copy(), info_QQ @ theta_Q
    curve_Q = np.maximum(info_QQ.diagonal(), np.finfo(np.float64).tiny)
    for _ in range(SWEEPS):
        moved = 0.0
        for q in range(len(theta_Q)):
            wanted = pull_Q[q] - push_Q[q] + curve_Q[q] * theta_Q[q]
            new = np.sign(wanted) * max(abs(wanted) - penalty_Q[q], 0.0) / curve_Q[q]
            if (step := new - theta_Q[q]) != 0.0:
                push_Q += step * info_QQ[q]
                theta_Q[q] = new
                moved = max(moved, curve_Q[q] * step * step)
        if moved < 1e-20:  # what the quadratic model would still gain
            break
    return theta_Q
