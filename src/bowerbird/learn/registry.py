"""The learners by name. A system that joins the house is one line here."""

from __future__ import annotations

import importlib
from typing import Any

from bowerbird.learn.contract import Learner
from bowerbird.tables.errors import ConfigError, did_you_mean

#: name -> "module:class"; modules are imported when first asked for, so that listing learners costs nothing.
LEARNERS: dict[str, str] = {
    "omnisage": "bowerbird.represent.learner:OmniSageLearner",
    "pinrec": "bowerbird.recommend.learner:PinRecLearner",
    "unipinrec": "bowerbird.recommend.ranking.learner:UniPinRecLearner",
}


def learner(name: str) -> type[Learner[Any]]:
    """The learner class registered under ``name``.

    Raises:
        ConfigError: if there is none (naming the nearest), or the entry is not a :class:`Learner` of that
        name.
    """
    if name not in LEARNERS:
        raise ConfigError(f"no learner is called {name!r}; {did_you_mean(name, LEARNERS)}")
    module, _, attribute = LEARNERS[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, Learner)) or found.name != name:
        raise ConfigError(f"the registry's {name!r} = {LEARNERS[name]!r} is not a Learner with that name")
    return found
