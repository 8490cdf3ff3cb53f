"""Whatever is asked, the engine answers as promised or names the field at fault: hypothesis over its request type."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowerbird.serve.engine import Engine
from bowerbird.serve.request import Filters, PastEvent, Request, RequestError
from bowerbird.serve.response import Response
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store
from serve import searches
from serve.models import generator

PATHS = re.compile(r"/(home|root|tmp|usr|srv|var|etc|opt|work|src)/|site-packages|Traceback|\.py\b")

text = st.text(max_size=8) | st.sampled_from(
    ["u01", "f03", "home", "save", "any", "Sea", "genres", "\x00", "é" * 50]
)
ids = text | st.integers(-(2**70), 2**70) | st.sampled_from(["f00", "f31", "never-seen", "u00", "quiet"])
numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, 0.3, 1e-300, 1e300])
times = st.none() | st.integers(-(2**65), 2**65) | st.sampled_from([0, 1_700_000_000_000])
outcomes = st.dictionaries(st.sampled_from(["any", "click", "save", "hide"]) | text, numbers, max_size=3)
columns = st.sampled_from(["genres", "year", "title", "nothing"]) | text
chosen = st.dictionaries(columns, st.tuples(st.sampled_from(["Sea", "Comedy", "Town"]) | text), max_size=2)
past = st.builds(PastEvent, item=ids, action=st.none() | text, time=times)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, object]:
    """Arguments of a request: mostly meaningful, anything in some of them."""
    asked: dict[str, object] = {
        "user": draw(st.none() | ids),
        "k": draw(st.integers(-2, 80) | st.just(10**6)),
    }
    odd = {
        "history": st.none() | st.lists(past, max_size=12).map(tuple),
        "surface": st.none() | text, "query": st.none() | text,
        "outcomes": outcomes, "exclude_seen": st.booleans(), "time": times, "values": outcomes,
        "filters": st.builds(Filters, include=chosen, exclude=chosen),
        "at_most": st.dictionaries(columns | st.just("creator"), st.integers(-1, 5), max_size=2),
        "explain": st.booleans(), "deadline_ms": st.none() | numbers,
    }  # fmt: skip
    for name in draw(st.lists(st.sampled_from(sorted(odd)), max_size=5, unique=True)):
        asked[name] = draw(odd[name])
    return asked


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    store = searches.build(tmp_path_factory.mktemp("asked"))
    yield Engine(store, generator(store, mentions=("query",)))


def built(asked: dict[str, object]) -> Request | None:
    """The request, or None where it refuses itself by naming one of its fields."""
    try:
        return Request(**asked)  # type: ignore[arg-type]
    except RequestError as error:
        assert error.field.partition(".")[0] in asked and str(error).startswith(error.field)
        return None


def kept(store: Store, request: Request, answer: Response) -> None:
    """What every answer promises."""
    shown = [item.item.id for item in answer.items]
    assert len(shown) == len(set(shown)) <= request.k
    assert [item.rank for item in answer.items] == list(range(1, len(shown) + 1))
    assert all(math.isfinite(item.score) for item in answer.items)
    assert all(0 <= p <= 1 for item in answer.items for p in item.probabilities.values())
    assert answer.stage in ("model", "content", "popularity")
    assert not PATHS.search(" ".join(note.message for note in answer.notes))
    if request.exclude_seen and request.history is not None:
        assert not {event.item for event in request.history} & set(shown)
    genres = {
        str(row["item_id"]): set(row["genres"] or ()) for row in searches.world.items().iter_rows(named=True)
    }
    wanted, barred = request.filters.include.get("genres"), request.filters.exclude.get("genres", ())
    known = set().union(*genres.values())
    for item in shown:
        assert not genres[str(item)] & (set(barred) & known)
        if wanted is not None and set(wanted) & known:
            assert genres[str(item)] & set(wanted)
    if len(shown) < request.k:
        assert answer.notes, "fewer than asked is explained"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=requests())
def test_any_request_is_answered_or_refused_by_name(engine: Engine, asked: dict[str, object]) -> None:
    request = built(asked)
    if request is None:
        return
    try:
        answer = engine.recommend(request)
    except BowerbirdError as error:
        assert isinstance(error, RequestError) and error.field.partition(".")[0] in asked
        assert not PATHS.search(str(error))
        return
    kept(engine.store, request, answer)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(many=st.lists(requests(), min_size=1, max_size=5))
def test_requests_of_one_batch_are_answered_as_if_alone(
    engine: Engine, many: list[dict[str, object]]
) -> None:
    batch = [request for asked in many if (request := built(asked | {"deadline_ms": None})) is not None]
    for request, found in zip(batch, engine.recommend_many(batch), strict=True):
        if isinstance(found, Exception):
            assert isinstance(found, RequestError)
            with pytest.raises(RequestError):
                engine.recommend(request)
            continue
        kept(engine.store, request, found)
        alone = engine.recommend(request)
        assert found.stage == alone.stage and len(found.items) == len(alone.items)
