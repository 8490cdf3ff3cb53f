"""Leak detection for any feature code: same past, other future, same bits?

>>> from bowerbird.tables.view.leaks import audit
>>> audit(lambda view: my_features(view), store, "2018-01-01").demand()
"""

from bowerbird.tables.view.leaks.audit import Audit, Leak, LeakError, audit
from bowerbird.tables.view.leaks.requests import RequestInputs, audit_requests

__all__ = ["Audit", "Leak", "LeakError", "RequestInputs", "audit", "audit_requests"]
