"""Many requests at once: batches for the model, bounded queues, deadlines, rates. Knows nothing of what it carries."""

from bowerbird.serve.traffic.batcher import Batcher, Observer
from bowerbird.serve.traffic.errors import Busy, ClosedError, DeadlineError, TrafficError
from bowerbird.serve.traffic.rates import Rates
from bowerbird.serve.traffic.workers import Workers

__all__ = ["Batcher", "Busy", "ClosedError", "DeadlineError", "Observer", "Rates", "TrafficError", "Workers"]
