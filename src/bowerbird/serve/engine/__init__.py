"""The engine: a request in, a response out, no HTTP.

The road of a request: history -> encode -> generate -> retrieve -> rank -> guard -> answer. `preparing` reads what was
asked and the user's past, `road` takes a batch through the model, `answering` applies the rules and fills what is
missing. Where the model cannot answer, what is like the recent items does, else what is popular, and the answer says
so.
"""

from bowerbird.serve.engine.browsing import UnknownEntityError
from bowerbird.serve.engine.engine import Engine, NoHistoryError

__all__ = ["Engine", "NoHistoryError", "UnknownEntityError"]
