"""Invented words: text says what an item is about and hints at what it is good for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bowerbird.tables.simulate.config import ACTIONS

QUERIES_PER_TOPIC = 8


def _listed(words: str) -> list[str]:
    return words.split()


_FIELDS = _listed("""
garden kitchen travel fashion fitness music painting photography carpentry pottery astronomy chess gaming
film history nature birds dogs cats sailing cycling running hiking camping baking coffee tea wine ceramics
knitting sewing jewellery interiors architecture lighting furniture motoring aviation railways science
robotics coding finance parenting weddings holidays poetry theatre dance comics
""")
_ONSETS = _listed("b c d f g h j k l m n p r s t v w z br cl dr fl gr kr pl sl st tr")
_NUCLEI = _listed("a e i o u ai ea io ou")
_CODAS = ["", "", "", "n", "r", "l", "s", "m", "nd", "rt"]
_PLAIN = _listed(
    "simple modern small best classic easy warm bright daily quiet fresh wild natural little grand"
)
_HINTS = {
    "click": _listed("surprising trending hidden stunning famous"),
    "long_click": _listed("guide explained complete deep story"),
    "save": _listed("ideas checklist template inspiration pattern"),
    "hide": _listed("giveaway sponsored promo shocking clickbait"),
}
_FIRST = _listed("""
Ada Ben Carla Dmitri Elena Farid Grace Hana Ivan Julia Kofi Lena Marco Nadia Omar Priya Quinn Rosa Samir Tara
Ulrich Vera Wei Ximena Yusuf Zoe
""")


@dataclass(frozen=True)
class Language:
    """The words of the world. K topics, G groups of topics.

    Attributes:
        names: K topic names.
        group_names: G names.
        words: K lists of topic words, the most telling first.
        queries: K * QUERIES_PER_TOPIC search texts, topic by topic.
    """

    names: list[str]
    group_names: list[str]
    words: list[list[str]]
    queries: list[str]


def invent_language(rng: np.random.Generator, group: np.ndarray) -> Language:
    """Words for topics whose group is `group` (int[K])."""
    taken: set[str] = set(_FIELDS) | set(_PLAIN)
    n_groups = int(group.max()) + 1
    group_names = [_FIELDS[g % len(_FIELDS)] + ("" if g < len(_FIELDS) else f"-{g}") for g in range(n_groups)]
    group_words = [_words(rng, 6, taken) for _ in range(n_groups)]
    names, words, queries = [], [], []
    for g in group.tolist():
        own = _words(rng, 10, taken)
        names.append(f"{group_names[g]} {own[0]}")
        words.append([*own, group_names[g], *group_words[g]])
        queries += [
            f"{own[0]}",
            f"{own[0]} {group_names[g]}",
            f"{_PLAIN[0]} {own[0]}",
            f"{own[1]} {own[2]}",
            f"{own[0]} {own[1]}",
            f"{own[0]} {_HINTS['save'][0]}",
            f"{own[3]} {_HINTS['long_click'][0]}",
            f"{own[4]}",
        ]
    return Language(names, group_names, words, queries)


def describe_item(
    rng: np.random.Generator, language: Language, first: int, second: int, share: float, appeal: np.ndarray
) -> tuple[str, str]:
    """A title and a description.

    Args:
        first, second: the item's topics.
        share: weight of the first.
        appeal: float[A] standardised pull toward each action; makes that action's hint words likelier.
    """
    length = 3 + int(rng.integers(0, 3)) + 9
    of_first = rng.random(length) < 0.15 + 0.85 * share
    # A Zipf-like draw: a topic's first words are the ones most items use.
    ranks = np.minimum((16.0 ** rng.random(length)).astype(int) - 1, 15)
    words = [
        language.words[first if f else second][r]
        for f, r in zip(of_first.tolist(), ranks.tolist(), strict=True)
    ]
    chosen = rng.random(len(ACTIONS)) < 1.0 / (1.0 + np.exp(1.5 - 1.6 * appeal))
    hints = [_HINTS[a][int(rng.integers(5))] for a, c in zip(ACTIONS, chosen.tolist(), strict=True) if c]
    plain = [_PLAIN[int(k)] for k in rng.integers(0, len(_PLAIN), 3)]
    title = [plain[0], *words[: length - 9], *hints[:1]]
    return " ".join(title).capitalize(), " ".join([*words[length - 9 :], *plain[1:], *hints])


def invent_names(rng: np.random.Generator, n: int) -> list[str]:
    """n different full names (first and last)."""
    taken: set[str] = set()
    last = [w.capitalize() for w in _words(rng, n // 4 + 3, taken)]
    names: dict[str, None] = {}
    while len(names) < n:
        names[f"{_FIRST[int(rng.integers(len(_FIRST)))]} {last[int(rng.integers(len(last)))]}"] = None
    return list(names)


def shortened(name: str) -> str:
    """The name with its first name cut to an initial: 'Ada Moreno' becomes 'A. Moreno'."""
    first, last = name.split(" ", 1)
    return f"{first[0]}. {last}"


def board_title(language: Language, topic: int, salt: int) -> str:
    """The title of a collection about a topic; `salt` (any non-negative integer) varies the wording."""
    words = language.words[topic]
    forms = ("{a} {b}", "my {a}", "{a} ideas", "{c} {a} for later")
    a, b, c = words[0], words[1 + salt % 4], _PLAIN[salt % len(_PLAIN)]
    return forms[salt // 5 % len(forms)].format(a=a, b=b, c=c)


def _words(rng: np.random.Generator, n: int, taken: set[str]) -> list[str]:
    found: list[str] = []
    while len(found) < n:
        parts = [
            _ONSETS[int(rng.integers(len(_ONSETS)))] + _NUCLEI[int(rng.integers(len(_NUCLEI)))]
            for _ in range(2)
        ]
        word = "".join(parts) + _CODAS[int(rng.integers(len(_CODAS)))]
        if word not in taken:
            taken.add(word)
            found.append(word)
    return found
