"""Rankers that a model has to beat inside a slate, from item rates to sequence networks.

Each is fitted on a view, tuned on later slates, and gives the probability of every action for every row:

```python
rankers = fitted_rankers(split.train, seeds=(0, 1, 2), valid=split.valid)
comparison = rank_compare(rankers, slate_cases(split.test, split.valid))
```
"""

from bowerbird.evaluate.rankers.base import FittedRanker
from bowerbird.evaluate.rankers.features import Features, FeatureTable
from bowerbird.evaluate.rankers.gbdt import GradientBoostedTrees
from bowerbird.evaluate.rankers.logistic import LogisticRanker
from bowerbird.evaluate.rankers.neural import HstuRanker, NeuralRanker, TargetAttentionRanker
from bowerbird.evaluate.rankers.popularity import PopularityRanker
from bowerbird.evaluate.rankers.registry import RANKERS, fitted_rankers

__all__ = [
    "RANKERS",
    "FeatureTable",
    "Features",
    "FittedRanker",
    "GradientBoostedTrees",
    "HstuRanker",
    "LogisticRanker",
    "NeuralRanker",
    "PopularityRanker",
    "TargetAttentionRanker",
    "fitted_rankers",
]
