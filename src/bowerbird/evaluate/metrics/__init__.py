"""Metrics: ranks of targets, accuracy per case, unordered recall, diversity, and parts of the targets."""

from bowerbird.evaluate.metrics.accuracy import METRICS, hit_rate, mrr, ndcg, parse_metric, recall
from bowerbird.evaluate.metrics.diversity import coverage, intra_list_diversity, mean_popularity, unique_share
from bowerbird.evaluate.metrics.ranks import MISSED, per_case, target_ranks
from bowerbird.evaluate.metrics.segments import actions, popularity_buckets, warmth
from bowerbird.evaluate.metrics.unordered import Generator, VectorLists, budget_ranks, unordered_ranks

__all__ = [
    "METRICS",
    "MISSED",
    "Generator",
    "VectorLists",
    "actions",
    "budget_ranks",
    "coverage",
    "hit_rate",
    "intra_list_diversity",
    "mean_popularity",
    "mrr",
    "ndcg",
    "parse_metric",
    "per_case",
    "popularity_buckets",
    "recall",
    "target_ranks",
    "unique_share",
    "unordered_ranks",
    "warmth",
]
