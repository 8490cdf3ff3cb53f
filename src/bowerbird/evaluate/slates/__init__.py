"""How well the rows of a slate are ordered, and whether the probabilities are true: slates, metrics, one table.

```python
cases = slate_cases(split.test, split.valid)                  # the slates of the test
comparison = rank_compare([*fitted_rankers(split.valid), model], cases)
```
"""

from bowerbird.evaluate.slates.auc import PooledAuc, grouped_auc
from bowerbird.evaluate.slates.build import slate_cases, training_slates
from bowerbird.evaluate.slates.calibration import CalibrationError, log_loss
from bowerbird.evaluate.slates.cases import TIE_RULE, SlateCases, SlateProtocol
from bowerbird.evaluate.slates.compare import SlateComparison, SlateResult, rank_compare
from bowerbird.evaluate.slates.ranker import Ranker, RankerError, check_scores
from bowerbird.evaluate.slates.within_slate import Placement

__all__ = [
    "TIE_RULE",
    "CalibrationError",
    "Placement",
    "PooledAuc",
    "Ranker",
    "RankerError",
    "SlateCases",
    "SlateComparison",
    "SlateProtocol",
    "SlateResult",
    "check_scores",
    "grouped_auc",
    "log_loss",
    "rank_compare",
    "slate_cases",
    "training_slates",
]
