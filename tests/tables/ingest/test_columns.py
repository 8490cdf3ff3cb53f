"""Actions, the optional columns of events, and the features and other tables."""

import json
from datetime import datetime

import pytest

GOOD = "u,a,1600000000\n"


def reasons(workspace):
    return [(row["line"], row["column"], row["value"], row["reason"]) for row in workspace.rejected()]


def full(workspace, header, rows, policy=None, **columns):
    workspace.write("full.csv", header + "\n" + "\n".join(rows))
    source = {"files": "full.csv", "columns": {**workspace.config["events"]["columns"], **columns}}
    workspace.ingest(events=source, actions=policy or {})
    store = workspace.store
    names = [
        [name for bit, name in enumerate(store.actions) if int(mask) >> bit & 1]
        for mask in store.events.actions
    ]
    return store, names


def test_actions_as_separated_text_lists_and_constants(workspace):
    rows = [
        "u,a,1600000000,click|save",
        "u,a,1600000001,",
        'u,a,1600000002,"[""hide"", ""click""]"',
        "u,a,1600000003,clk",
    ]
    _, names = full(
        workspace,
        "user,item,time,act",
        rows,
        {"rename": {"clk": "click"}, "negative": ["hide"]},
        actions={"column": "act", "separator": "|"},
    )
    assert names == [["click", "save"], [], ["click", "hide"], ["click"]]
    assert workspace.store.negative_mask == 1 << list(workspace.store.actions).index("hide")


@pytest.mark.parametrize(
    ("policy", "expected", "rejected"),
    [
        ({"names": ["click"]}, [["click"]], [(3, "act", "save|click", "action is not declared")]),
        ({"names": ["click"], "unknown": "ignore"}, [["click"], ["click"]], []),
        ({"names": ["click"], "unknown": "add"}, [["click"], ["click", "save"]], []),
        (
            {"unknown": "reject"},
            [],
            [
                (2, "act", "click", "action is not declared"),
                (3, "act", "save|click", "action is not declared"),
            ],
        ),
    ],
)
def test_unknown_actions(workspace, policy, expected, rejected):
    rows = ["u,a,1600000000,click", "u,a,1600000001,save|click"]
    column = {"column": "act", "separator": "|"}
    _, names = full(workspace, "user,item,time,act", rows, policy, actions=column)
    assert names == expected
    assert (reasons(workspace) if rejected else []) == rejected


def test_actions_from_yes_no_columns_and_ratings(workspace):
    rows = [
        "u,a,1600000000,1,yes,5",
        "u,a,1600000001,0,,3.5",
        "u,a,1600000002,0,maybe,1",
        "u,a,1600000003,false,T,",
    ]
    flags = {"click": "is_click", "like": "liked", "love": {"column": "stars", "at_least": 4}}
    _, names = full(workspace, "user,item,time,is_click,liked,stars", rows, actions={"flags": flags})
    assert names == [["click", "like", "love"], [], ["like"]]
    assert reasons(workspace) == [(4, "liked", "maybe", "not a yes/no value or a number")]


def test_the_other_columns_of_events(workspace):
    rows = [
        "u,a,1600000000,home,r1,0,red shoes,2.5",
        "u,b,1600000000,,r1,1,,",
        "v,b,1600000000,home,,-1,,1",
        "v,b,1600000001,home,,1.5,,1",
        "v,b,1600000002,home,,,,many",
        "v,b,1600000003,home,,,,1e999",
    ]
    store, _ = full(
        workspace,
        "user,item,time,surface,request_id,position,query,weight",
        rows,
        **{name: name for name in ("surface", "request_id", "position", "query", "weight")},
    )
    events = store.events
    assert store.surfaces.decode(events.surface) == ["home", "default"]
    assert store.queries.decode(events.query) == ["red shoes", None]
    assert (events.request.tolist(), events.position.tolist(), events.weight.tolist()) == (
        [0, 0],
        [0, 1],
        [2.5, 1.0],
    )
    assert [(row["column"], row["reason"]) for row in workspace.rejected()] == [
        ("position", "not a whole number from 0 to 32767"),
        ("position", "not a whole number from 0 to 32767"),
        ("weight", "not a number"),
        ("weight", "number is not finite or too large"),
    ]
    full(
        workspace,
        "user,item,time",
        ["w,a,1600000009"],
        surface={"constant": "mail"},
        actions={"constant": "click"},
    )
    assert workspace.store.surfaces.decode([workspace.store.events.surface[-1]]) == ["mail"]


def test_every_table_and_every_role(workspace):
    workspace.events(GOOD)
    good = {
        "id": "a",
        "name": "One bird",
        "tags": "x|y | ",
        "cats": '["p","q"]',
        "price": "3.5",
        "vec": "[1,2]",
    }
    good |= {"out": "2020-01-02", "by": "k", "made": 1_500_000_000}
    empty = dict.fromkeys(good, "")
    wrong = [{"price": "free"}, {"cats": "["}, {"vec": "[1,2,3]"}, {"vec": "[1,null]"}, {"out": "1.2.2020"}]
    items = [good, *({**empty, "id": str(n), **change} for n, change in enumerate(wrong))]
    workspace.write("items.jsonl", "\n".join(map(json.dumps, items)))
    workspace.write("people.csv", "id,age\nu,30\nx,\n")
    workspace.write("lists.csv", "l,i,t\nl1,a,2020-01-01\nl1,zz,2020-01-01\nl1,a,2020-01-01\n")
    workspace.write("follow.csv", "a,b\nu,x\n")
    workspace.ingest(
        items={
            "files": "items.jsonl",
            "columns": {"item_id": "id", "creator_id": "by", "created_at": "made"},
            "features": {
                "name": "title",
                "tags": {"role": "categories"},
                "cats": "categories",
                "price": "number",
                "vec": "vector",
                "released": {"column": "out", "role": "timestamp"},
            },
        },
        users={"files": "people.csv", "columns": {"user_id": "id"}},
        collections={
            "files": "lists.csv",
            "columns": {"collection_id": "l", "item_id": "i", "timestamp": "t"},
        },
        links={
            "files": "follow.csv",
            "columns": {
                "source_type": {"constant": "user"},
                "source_id": "a",
                "target_type": {"constant": "user"},
                "target_id": "b",
                "relation": {"constant": "follows"},
            },
        },
    )
    store = workspace.store
    table = store.item_table
    assert table.frame.drop("creator_id", "created_at").rows() == [
        ("a", "One bird", ["x", "y"], ["p", "q"], 3.5, [1.0, 2.0], datetime(2020, 1, 2)),
    ]
    assert (table.title(0), table.created.tolist(), table.creators.decode(table.creator)) == (
        "One bird",
        [1_500_000_000_000],
        ["k"],
    )
    assert [(row["column"], row["reason"]) for row in workspace.rejected()] == [
        ("price", "not a number"),
        ("cats", "not a list"),
        ("vec", "vector has another length than the first one"),
        ("vec", "not a list of finite numbers"),
        ("out", "not an ISO date or time"),
    ]
    assert store.table("users").collect().rows() == [("u", 30.0, 0), ("x", None, 1)]
    assert store.table("collections").select("item_id", "item", "timestamp").collect().rows() == [
        ("a", 0, 1_577_836_800_000),
        ("zz", None, 1_577_836_800_000),
    ]
    assert store.table("links").collect().rows() == [("user", "u", "user", "x", "follows")]
