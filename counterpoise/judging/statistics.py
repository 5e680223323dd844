"""The statistics of a verdict: intervals over seeds, multiplicity, power, and the rules that name a verdict.

Everything works on arrays whose last axis is the seed, so that the simulation of the checker runs the very
code that judges a study. Shapes: `..._N` has n seeds in its last axis, `..._JN` has j rival cases before it.
Units: those of the metric, unless said otherwise; `alpha` is a two-sided error probability.

Zero variance: n identical differences give a degenerate interval (the point itself) and p = 0 or 1. That is
no proof of certainty, and whoever prints it says how large a share of unlike seeds it leaves possible.
"""

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

POWER = 0.8
IDENTICAL = 1e-12  # differences closer than this are the same number after rounding errors


def _moments(values_N: ArrayLike) -> tuple[Array, Array, int]:
    """Return mean, standard deviation (n - 1) and n; identical values have a deviation of exactly 0."""
    values = np.asarray(values_N, dtype=float)
    n = values.shape[-1]
    same = np.ptp(values, axis=-1) <= IDENTICAL
    mean = np.where(same, values[..., 0], values.mean(-1))
    return mean, np.where(same, 0.0, values.std(-1, ddof=1)), n


def widened(values: ArrayLike, overlap: float) -> Array:
    """Return values with the same mean whose plain t statistics are those of the corrected resampled t-test.

    Nadeau and Bengio 2003: over J resamplings of one table the variance of the mean is not s^2 / J but
    s^2 (1 / J + overlap), `overlap` being the rows tested on over the rows trained on, because the resamplings share
    rows. So deviations are stretched by sqrt(1 + J overlap). At overlap 0 the values are returned.
    """
    values = np.asarray(values, dtype=float)
    if not overlap or not values.shape[-1]:
        return values
    mean = values.mean(-1, keepdims=True)
    return mean + (values - mean) * math.sqrt(1 + values.shape[-1] * overlap)


def t_interval(values_N: ArrayLike, alpha: float | Array) -> tuple[Array, Array, Array]:
    """Return mean, lower and upper limit of Student's interval for the mean over seeds (n >= 2)."""
    from scipy.special import stdtrit

    mean, sd, n = _moments(values_N)
    half = stdtrit(n - 1, 1 - np.asarray(alpha) / 2) * sd / math.sqrt(n)
    return mean, mean - half, mean + half


def limited(low: float, high: float, limits: tuple[float, float]) -> list[float]:
    """Return an interval as it is shown: cut where its metric ends. Verdicts rest on the whole one."""
    return [max(low, limits[0]), min(high, limits[1])]


def t_tails(values_N: ArrayLike, null: float = 0.0) -> tuple[Array, Array]:
    """Return the one-sided p-values of "the mean is below `null`" and of "the mean is above `null`"."""
    from scipy.special import stdtr

    mean, sd, n = _moments(values_N)
    gap = np.where(np.abs(mean - null) <= IDENTICAL, 0.0, mean - null)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(gap == 0, 0.0, gap / (sd / math.sqrt(n)))
    # with identical values t is infinite or, on the null itself, 0: neither direction is shown there
    flat = (sd == 0) & (gap == 0)
    return np.where(flat, 1.0, stdtr(n - 1, t)), np.where(flat, 1.0, stdtr(n - 1, -t))


def two_sided(below: ArrayLike, above: ArrayLike) -> Array:
    """Return the equal-tailed two-sided p-value of a pair of one-sided ones."""
    return np.minimum(1.0, 2 * np.minimum(below, above))


def equivalence_p(values_N: ArrayLike, margin: float) -> Array:
    """Return p of the decision "inside or outside +-margin", the level at which the interval decides it.

    Inside is Schuirmann's two one-sided tests (1987), both at alpha / 2 since one interval serves all rules.
    """
    below_low, above_low = t_tails(values_N, -margin)
    below_high, above_high = t_tails(values_N, margin)
    inside = 2 * np.maximum(above_low, below_high)
    outside = 2 * np.minimum(below_low, above_high)
    return np.minimum(1.0, np.minimum(inside, outside))


def best_interval(values_JN: ArrayLike, alpha: float) -> tuple[Array, Array, Array]:
    """Return effect and interval of "A minus the best of j rivals", from the differences to each rival.

    The lower limit needs no correction (an intersection-union test, Berger 1982); the upper one is
    Bonferroni's over the rivals, for any of them may be the best. Together they cover 1 - alpha.
    """
    values = np.asarray(values_JN, dtype=float)
    mean, low, _ = t_interval(values, alpha)
    _, _, high = t_interval(values, alpha / values.shape[-2])
    return mean.min(-1), low.min(-1), high.min(-1)


def best_p(values_JN: ArrayLike) -> Array:
    """Return the level at which `best_interval` begins to exclude 0."""
    below, above = t_tails(values_JN)
    rivals = np.shape(values_JN)[-2]
    return np.minimum(1.0, np.minimum(2 * above.max(-1), 2 * rivals * below.min(-1)))


def sign_flip_p(values_N: ArrayLike) -> float:
    """Return the exact two-sided p-value of a mean of 0 under symmetry (Fisher 1935), for |values| <= 1.

    The distribution of the sum over all 2^n signs is a convolution on a lattice of 1/1000, hence exact for
    rank correlations at any n. It cannot go below 2 / 2^n: 5 seeds never reach .05.
    """
    steps = np.rint(np.asarray(values_N, dtype=float) * 1000).astype(int)
    reach = int(np.abs(steps).sum())
    weight = np.zeros(2 * reach + 1)
    weight[reach] = 1.0
    for step in np.abs(steps):
        weight = (np.roll(weight, step) + np.roll(weight, -step)) / 2  # never wraps: reach bounds the sum
    sums = np.arange(-reach, reach + 1)
    return float(min(1.0, weight[np.abs(sums) >= abs(int(steps.sum()))].sum()))


def rank_interval(values_N: ArrayLike, alpha: float) -> tuple[Array, Array, Array]:
    """Return mean and interval of rank correlations over seeds: Student's, held to [-1, 1] and guarded.

    The values are few and discrete, so a t interval alone would be too sure of itself: it is widened to
    contain 0 wherever the exact sign-flip test does not reject at `alpha`.
    """
    mean, low, high = t_interval(values_N, alpha)
    if sign_flip_p(values_N) > alpha:
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    return mean, np.maximum(low, -1.0), np.minimum(high, 1.0)


def clopper_pearson(k: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the exact interval of a share, from k successes in n (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    low = float(betaincinv(k, n - k + 1, alpha / 2)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - alpha / 2)) if k < n else 1.0
    return low, high


def binomial_p(k: int, n: int, share: float) -> float:
    """Return the equal-tailed exact p-value of k successes in n under `share`; it inverts Clopper-Pearson."""
    from scipy.special import bdtr, bdtrc

    return float(two_sided(bdtr(k, n, share), bdtrc(k - 1, n, share) if k else 1.0))


def holm(pvalues: ArrayLike, family_size: int | None = None) -> Array:
    """Return Holm's adjusted p-values (1979) over the last axis.

    `family_size` may exceed the number given: the claims not at hand count as if theirs were larger, which
    can only make the adjustment stricter.
    """
    p = np.asarray(pvalues, dtype=float)
    order = np.argsort(p, axis=-1, kind="stable")
    factor = (family_size or p.shape[-1]) - np.arange(p.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, -1) * factor, axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(1.0, stepped), -1)
    return adjusted


def holm_alphas(pvalues: ArrayLike, alpha: float, family_size: int | None = None) -> Array:
    """Return each claim's own alpha: that of its Holm step, or of the step at which Holm stopped.

    Claims after the stop all keep the stopping level; with their own, an interval could exclude 0 although
    Holm retains the claim (Strassburger and Bretz 2008).
    """
    p = np.asarray(pvalues, dtype=float)
    rank = np.argsort(np.argsort(p, axis=-1, kind="stable"), axis=-1, kind="stable")
    rejected = (holm(p, family_size) <= alpha).sum(-1, keepdims=True)
    return alpha / ((family_size or p.shape[-1]) - np.minimum(rank, rejected))


def _detectable_in_deviations(n: ArrayLike, alpha: float) -> Array:
    from scipy.special import stdtrit

    df = np.asarray(n) - 1
    return (stdtrit(df, 1 - alpha / 2) + stdtrit(df, POWER)) / np.sqrt(n)


def smallest_detectable(sd: float, n: int, alpha: float) -> float:
    """Return the effect that a paired t-test over n seeds finds with 80 % power (about 1 % off exact)."""
    return float(sd * _detectable_in_deviations(n, alpha))


def smallest_detectable_share(n: int, share: float, alpha: float) -> float | None:
    """Return by how much a share must exceed `share` for 80 % power; None if n seeds can never show it."""
    from scipy.special import betaincinv

    enough = next((k for k in range(n + 1) if clopper_pearson(k, n, alpha)[0] > share), None)
    return None if enough is None else float(betaincinv(enough, n - enough + 1, POWER)) - share


def seeds_to_settle(sd: float, n: int, margin: float, alpha: float) -> int | None:
    """Return the n at which the margin is detectable with 80 % power; None beyond 100,000.

    It rests on the upper 80 % confidence bound of the deviation, never on the observed effect.
    """
    from scipy.special import chdtri

    upper = sd * math.sqrt((n - 1) / float(chdtri(n - 1, POWER)))
    counts = range(2, 100_001)
    found = bisect_left(counts, True, key=lambda count: bool(upper * _detectable_in_deviations(count, alpha) <= margin))
    return counts[found] if found < len(counts) else None


def agreement(
    values_N: Array, published: float, *, n: int, sd: float | None, error: float, median: bool, margin: float
) -> tuple[str, float, float]:
    """Compare our seeds with a published value of n runs; return the outcome and the interval used.

    n < 3: the published value must lie in our 95 % prediction interval mean +- t s sqrt(1/n + 1/N), widened
    by the reading error. n >= 3: an equivalence test of the two means (Welch 1947; the paper's deviation, or
    ours where it gives none), which leaves "not shown" between "agrees" and "disagrees". A median has
    sqrt(pi / 2) times the error of a mean.
    """
    from scipy.special import stdtrit

    _, ours, size = _moments(values_N)
    centre = float(np.median(values_N) if median else np.mean(values_N))
    factor = math.sqrt(math.pi / 2) if median else 1.0
    own, theirs = float(ours) ** 2 / size, (float(ours) if sd is None or n < 3 else sd) ** 2 / n
    df = float(size - 1)
    if n >= 3 and own + theirs > 0:
        df = (own + theirs) ** 2 / (own**2 / (size - 1) + theirs**2 / (n - 1))
    half = float(stdtrit(df, 0.975)) * math.sqrt(own + theirs) * factor + error
    if n < 3:
        return ("agrees" if abs(published - centre) <= half else "disagrees"), centre - half, centre + half
    low, high = centre - published - half, centre - published + half
    inside, outside = low > -margin and high < margin, low > margin or high < -margin
    return ("agrees" if inside else "disagrees" if outside else "not shown"), low, high


def verdict(form: str, effect: ArrayLike, low: ArrayLike, high: ArrayLike, margin: float) -> NDArray[np.str_]:
    """Name the verdict of an interval [low, high] of a signed effect, before any cap by scope or gate.

    `margin` is the smallest effect that counts; for `exists`, the share that is claimed. A form that only
    asks on which side of a line the truth lies (`no_worse`, `close`, `exists`) has no "ordering only".
    """
    effect, low, high = np.asarray(effect), np.asarray(low), np.asarray(high)
    if form == "no_worse":
        rules = [(low > -margin, "reproduced"), (high < -margin, "refuted")]
    elif form == "close":
        inside = (low > -margin) & (high < margin)
        rules = [(inside, "reproduced"), ((low > margin) | (high < -margin), "refuted")]
    elif form == "exists":
        rules = [(low > margin, "reproduced"), (high < margin, "refuted")]
    elif form == "depends either way":  # a movement in any direction supports it; none can oppose it
        moves = (low > 0) | (high < 0)
        rules = [(moves & (np.abs(effect) >= margin), "reproduced"), (moves, "ordering only")]
        rules += [((low > -margin) & (high < margin), "not reproduced")]
    else:
        rules = [((low > 0) & (effect >= margin), "reproduced"), (low > 0, "ordering only")]
        rules += [((high < 0) & (effect <= -margin), "refuted"), (high < margin, "not reproduced")]
    return np.select([condition for condition, _ in rules], [name for _, name in rules], "inconclusive")
