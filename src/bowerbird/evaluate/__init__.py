"""Cases, metrics, baselines, intervals and reports: the same questions and the same rules for every model.

```python
cases = future_cases(split.test, split.valid, train=split.train)        # the questions
tuning = future_cases(split.valid, split.train)                        # validation only
baselines, tuned = fitted_baselines(split.train, tuning, split.valid)
comparison = compare([*baselines, model], cases)                       # a `Recommender` per model and seed
```
"""

from bowerbird.evaluate.baselines import BASELINES, QUICK_GRIDS, Baseline, Tuned, fitted_baselines, tune
from bowerbird.evaluate.bootstrap import Estimate, Interval, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases, Protocol, Seen
from bowerbird.evaluate.compare import Comparison, ModelResult, compare
from bowerbird.evaluate.metrics import Generator, VectorLists, budget_ranks, target_ranks, unordered_ranks
from bowerbird.evaluate.outcomes import OutcomeMatrix, outcome_matrix
from bowerbird.evaluate.positives import Positives, positives
from bowerbird.evaluate.protocols import (
    future_cases,
    in_session_cases,
    leave_last_out_cases,
    next_event_cases,
)
from bowerbird.evaluate.ranking import (
    TIE_RULE,
    Ranking,
    RankingError,
    Recommender,
    check_ranking,
    drop_seen,
    rank_scores,
    top_k,
)

__all__ = [
    "BASELINES",
    "QUICK_GRIDS",
    "TIE_RULE",
    "Baseline",
    "Cases",
    "Comparison",
    "Estimate",
    "Generator",
    "Interval",
    "ModelResult",
    "OutcomeMatrix",
    "Positives",
    "Protocol",
    "Ranking",
    "RankingError",
    "Recommender",
    "Seen",
    "Statistic",
    "Tuned",
    "UserBootstrap",
    "VectorLists",
    "budget_ranks",
    "check_ranking",
    "compare",
    "drop_seen",
    "fitted_baselines",
    "future_cases",
    "in_session_cases",
    "leave_last_out_cases",
    "next_event_cases",
    "outcome_matrix",
    "positives",
    "rank_scores",
    "target_ranks",
    "top_k",
    "tune",
    "unordered_ranks",
]
