"""Groups: a hierarchy per row, shared by splits, samplers, metrics, intervals and leak probes.

The block of a name, the family of a task, the speaker of a clip, the source of a log, the user of an event:
rows that belong together. A split that tears them apart, an average that hides the smallest, an interval that
treats them as independent, each gives a wrong answer; these tools take a :class:`GroupIndex` and do not.
"""

from bowerbird.learn.groups.index import GroupError, GroupIndex
from bowerbird.learn.groups.metrics import GroupTable, group_table, variance_share
from bowerbird.learn.groups.probe import LeakReport, leak_probe
from bowerbird.learn.groups.resample import Interval, cluster_interval, cluster_resamples
from bowerbird.learn.groups.splits import Fold, check_disjoint, group_folds, group_holdout
from bowerbird.learn.groups.tasks import SAMPLERS, TaskSource, sampler

__all__ = [
    "SAMPLERS",
    "Fold",
    "GroupError",
    "GroupIndex",
    "GroupTable",
    "Interval",
    "LeakReport",
    "TaskSource",
    "check_disjoint",
    "cluster_interval",
    "cluster_resamples",
    "group_folds",
    "group_holdout",
    "group_table",
    "leak_probe",
    "sampler",
    "variance_share",
]
