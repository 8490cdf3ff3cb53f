"""The baselines every report must show: popularity and Markov chains (of all time and recent), item-kNN, EASE, iALS;
and those of reports about graphs and content: content cosine, personalised PageRank, LightGCN."""

from bowerbird.evaluate.baselines.base import Baseline, backfill
from bowerbird.evaluate.baselines.content import ContentCosine
from bowerbird.evaluate.baselines.ease import EASE
from bowerbird.evaluate.baselines.ials import IALS
from bowerbird.evaluate.baselines.lightgcn import LightGCN
from bowerbird.evaluate.baselines.markov import Markov, RecentMarkov
from bowerbird.evaluate.baselines.neighbours import ItemKNN
from bowerbird.evaluate.baselines.pagerank import PageRank
from bowerbird.evaluate.baselines.popularity import Popularity, RecentPopularity
from bowerbird.evaluate.baselines.tuning import (
    BASELINES,
    GRAPH_BASELINES,
    QUICK_GRIDS,
    Tuned,
    fitted_baselines,
    tune,
)

__all__ = [
    "BASELINES",
    "EASE",
    "GRAPH_BASELINES",
    "IALS",
    "QUICK_GRIDS",
    "Baseline",
    "ContentCosine",
    "ItemKNN",
    "LightGCN",
    "Markov",
    "PageRank",
    "Popularity",
    "RecentMarkov",
    "RecentPopularity",
    "Tuned",
    "backfill",
    "fitted_baselines",
    "tune",
]
