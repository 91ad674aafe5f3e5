"""What a way of grouping users is worth, judged by what they chose afterwards.

Three things, because each alone misleads. *Held-out likelihood*: do the topics foresee the words that users choose
next? *Silhouette* (Rousseeuw 1987): are the groups apart? *Ranking lift*: does a list sorted by what the user's own
group chooses put what he chooses next higher than a list sorted by what everybody chooses? That is what groups are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics import silhouette_score

from spark_jobs.evaluation.bootstrap import Interval, PairedBootstrap
from spark_jobs.evaluation.ranking import UserSums
from spark_jobs.features.balanced_groups import Floats, Numbers
from spark_jobs.features.brand_clusters import Tastes

EM_STEPS = 20


def likelihood_gain(tastes: Tastes, later: Any) -> float:
    """How much better topics foresee the next words than everybody's frequencies do, in nats a word.

    The mean over (user, word) chosen later of log Σ_k θ_uk β_kw - log q_w, with θ the user's topic shares, β the words'
    shares in each topic and q in all that was chosen before. TF-IDF makes rare words count more than they occur, so β
    is learnt again from the words as they were chosen, by EM with θ as it is.

    Args:
        tastes: fitted before.
        later: (users, words) sparse, what each user of `tastes` chose of its words afterwards; how often is not asked.

    Returns:
        Not a number where nothing was chosen.
    """
    chosen = csr_matrix(later).tocoo()
    if not chosen.nnz:
        return float("nan")
    shares = tastes.mixtures**2
    before = csr_matrix(tastes.matrix > 0).tocoo()
    q = np.bincount(before.col, minlength=len(tastes.words)) + 1.0
    q /= q.sum()
    topics = np.tile(q, (shares.shape[1], 1)) * (1.0 + tastes.topics / tastes.topics.sum(axis=1, keepdims=True))
    for _ in range(EM_STEPS):
        foreseen = np.einsum("ik,ik->i", shares[before.row], topics.T[before.col])
        parts = csr_matrix((1.0 / foreseen, (before.row, before.col)), shape=before.shape)
        # Ten words of everybody's in each topic: what nobody of it has chosen yet is rare, not impossible.
        topics = topics * (parts.T @ shares).T + 10.0 * q
        topics /= topics.sum(axis=1, keepdims=True)
    foreseen = np.einsum("ik,ik->i", shares[chosen.row], topics.T[chosen.col])
    return float(np.mean(np.log(foreseen) - np.log(q[chosen.col])))


def silhouette(mixtures: Floats, numbers: Numbers, *, seed: int, users: int = 3000) -> float:
    """Mean silhouette of a sample of users; not a number for one group alone."""
    random = np.random.default_rng(seed)
    picked = np.sort(random.choice(len(numbers), min(users, len(numbers)), replace=False))
    found = len(np.unique(numbers[picked]))
    if not 1 < found < len(picked):
        return float("nan")
    return float(silhouette_score(mixtures[picked], numbers[picked]))


@dataclass(frozen=True)
class Lists:
    """What users chose before and after: what lists are sorted by, and what they are judged by.

    Attributes:
        users: sorted; all that chose anything before or after.
        before: (users, items) sparse: what they chose before.
        after: (users, items) sparse: what they chose afterwards.
        top: places of a list that count.
    """

    users: list[str]
    before: Any
    after: Any
    top: int = 20

    def everyones(self) -> dict[str, UserSums]:
        """NDCG and recall of the list sorted by everybody's choices."""
        return self.of_groups(np.zeros(len(self.users), dtype=np.int64))

    def of_groups(self, numbers: Numbers, *, prior_users: float = 20.0) -> dict[str, UserSums]:
        """NDCG and recall of each user's list: his group's, everybody's for who is in none.

        A group sorts by the share of its users that chose an item, drawn to everybody's share p by so many users at p.

        Args:
            numbers: group of each user of `users`; -1 for none.
            prior_users: the fewer users a group has, the more its list is everybody's.

        Returns:
            `ndcg` and `recall` over the users that chose something afterwards.
        """
        chosen = (self.before > 0).astype(np.float64)
        overall = np.asarray(chosen.sum(axis=0)).ravel() / max(1, len(self.users))
        wanted = np.diff(self.after.indptr)
        ideal = np.cumsum(1.0 / np.log2(np.arange(self.top) + 2.0))[np.clip(wanted, 1, self.top) - 1]
        ndcg, recall = np.zeros(len(self.users)), np.zeros(len(self.users))
        for number in np.unique(numbers).tolist():
            inside = np.flatnonzero(numbers == number)
            score = overall
            if number >= 0:
                counts = np.asarray(chosen[inside].sum(axis=0)).ravel()
                score = (counts + prior_users * overall) / (len(inside) + prior_users)
            best = np.argsort(-score, kind="stable")[: self.top]
            hits = (self.after[inside][:, best] > 0).toarray()
            ndcg[inside] = hits @ (1.0 / np.log2(np.arange(len(best)) + 2.0))
            recall[inside] = hits.sum(axis=1)
        judged = (wanted > 0).astype(np.float64)
        return {
            "ndcg": UserSums(ndcg / ideal * judged, judged),
            "recall": UserSums(recall / np.maximum(wanted, 1) * judged, judged),
        }


def lists_of(
    before: tuple[Sequence[str], Sequence[str]], after: tuple[Sequence[str], Sequence[str]], *, top: int = 20
) -> Lists:
    """Lists from rows (users, items) of what was chosen before and afterwards."""
    users, user_at = np.unique(np.asarray([*before[0], *after[0]], dtype=str), return_inverse=True)
    items, item_at = np.unique(np.asarray([*before[1], *after[1]], dtype=str), return_inverse=True)
    shape, edge = (len(users), len(items)), len(before[0])

    def matrix(rows: slice) -> Any:
        ones = np.ones(len(user_at[rows]))
        return csr_matrix((ones, (user_at[rows], item_at[rows])), shape=shape)

    return Lists(users.tolist(), matrix(slice(None, edge)), matrix(slice(edge, None)), top)


def lift(better: UserSums, than: UserSums, bootstrap: PairedBootstrap) -> Interval:
    """How much higher one list's metric is than another's, with the interval over users."""
    return bootstrap.difference(better.value, bootstrap.ratios(better), than=(than.value, bootstrap.ratios(than)))
