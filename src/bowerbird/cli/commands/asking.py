"""Commands that ask a model: recommend, similar."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bowerbird.cli.options import ArtifactOption, JsonOption, StoreOption, grouped, weights
from bowerbird.cli.show import print_items, print_json, print_notes

K = Annotated[int, typer.Option("--k", "-k", min=1, help="Number of items.")]


def recommend(
    artifact: ArtifactOption = Path("model"),
    store: StoreOption = Path("store"),
    user: Annotated[str | None, typer.Option(help="A user's id.")] = None,
    items: Annotated[
        str | None, typer.Option(help="A history instead: item ids, oldest first, separated by commas.")
    ] = None,
    outcome: Annotated[
        list[str] | None, typer.Option(help="Outcome and weight, e.g. save=0.5. Repeat for several.")
    ] = None,
    k: K = 10,
    surface: Annotated[str | None, typer.Option(help="Where the answer is shown.")] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="Only items with this category, e.g. genres=Comedy. Repeat for more."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No items with this category.")] = None,
    keep_seen: Annotated[bool, typer.Option("--keep-seen", help="Items met before may come again.")] = False,
    json: JsonOption = False,
) -> None:
    """Recommend items to a user, or to somebody with a given history.

    An unknown user gets what is popular, and the answer says so.

    Examples:

    - `bowerbird recommend --artifact model --store store --user 42`
    - `bowerbird recommend --user 42 --outcome love=0.7 --outcome any=0.3 -k 20`
    - `bowerbird recommend --items 318,296,593 --exclude genres=Horror`
    """
    if user is None and items is None:
        raise typer.BadParameter("give a user, or a history of item ids", param_hint="--user / --items")
    asked_outcomes = weights(outcome or ())
    included, excluded = grouped(include or (), "--include"), grouped(exclude or (), "--exclude")

    from bowerbird.serve.engine import Engine
    from bowerbird.serve.request import Filters, PastEvent, Request

    history = None
    if items is not None:
        history = tuple(PastEvent(item.strip()) for item in items.split(",") if item.strip())
    request = Request(
        user=user, history=history, surface=surface, outcomes=asked_outcomes, k=k, exclude_seen=not keep_seen,
        filters=Filters(included, excluded),
    )  # fmt: skip
    answer = Engine.open(artifact, store).recommend(request)
    if json:
        print_json(asdict(answer))
        return
    print_items(answer.items, f"for {user}" if user is not None else "for this history")
    print_notes(answer.notes)


def similar(
    item: Annotated[str, typer.Option(help="An item's id.")],
    artifact: ArtifactOption = Path("model"),
    store: StoreOption = Path("store"),
    k: K = 10,
    json: JsonOption = False,
) -> None:
    """Show items like one item.

    Examples:

    - `bowerbird similar --artifact model --store store --item 318`
    """
    from bowerbird.serve.engine import Engine

    answer = Engine.open(artifact, store).similar(item, k)
    if json:
        print_json(asdict(answer))
        return
    print_items(answer.items, f"like {answer.item.title}")
    print_notes(answer.notes)
