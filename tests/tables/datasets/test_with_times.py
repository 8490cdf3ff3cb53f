"""Globo, Open Bandit and KuaiRand from hand-made files in the published layouts."""

from __future__ import annotations

import polars as pl
import pytest

from bowerbird.tables.datasets import DatasetError, load_dataset
from bowerbird.tables.errors import TableError
from bowerbird.tables.view import View, time_split
from bowerbird.tables.view.leaks import audit

HOUR = 3_600_000
START = 1_506_826_800_000


def slates(view: View) -> list[tuple]:
    """(raw user, raw items, surface) of each slate."""
    return [
        (
            view.user_ids.decode([s.user])[0],
            view.item_ids.decode(s.items),
            view.surfaces.decode([s.surface])[0],
        )
        for s in view.slates()
    ]


GLOBO = (
    "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,click_environment,"
    "click_deviceGroup,click_os,click_country,click_region,click_referrer_type\n"
)


def globo_line(user: int, session: int, article: int, after: int, environment: int = 4) -> str:
    return f"{user},{session},{START // 1000},2,{article},{START + after},{environment},1,17,1,25,2\n"


@pytest.fixture
def globo(tmp_path):
    hours = tmp_path / "clicks"
    hours.mkdir()
    (hours / "clicks_hour_000.csv").write_text(
        GLOBO + globo_line(5, 1, 100, 0) + globo_line(5, 1, 200, 10) + globo_line(6, 2, 100, 5, 2)
    )
    (hours / "clicks_hour_001.csv").write_text(
        GLOBO + globo_line(5, 3, 300, HOUR) + globo_line(6, 4, 200, HOUR)
    )
    return tmp_path


def test_globo_sessions_are_slates_and_environments_surfaces(globo, tmp_path):
    store = load_dataset("globo", globo, tmp_path / "store")
    assert sorted(slates(View(store))) == [
        (5, [100, 200], "environment 4"),
        (5, [300], "environment 4"),
        (6, [100], "environment 2"),
        (6, [200], "environment 4"),
    ]
    assert View(store).events.time.min() == START  # the clicks' milliseconds, not the sessions' seconds
    assert store.item_table.has_row.sum() == 0
    assert View(store, START + HOUR).known_items().sum() == 2


def test_globo_parquet_and_csv_agree(globo, tmp_path):
    first = load_dataset("globo", globo, tmp_path / "a")
    both = tmp_path / "parquet"
    both.mkdir()
    pl.scan_csv(globo / "clicks" / "*.csv").drop("session_size").collect().write_parquet(
        both / "clicks.parquet"
    )
    assert load_dataset("globo", both, tmp_path / "b").manifest.content_hash == first.manifest.content_hash


def test_globo_article_metadata_is_read_where_it_lies(globo, tmp_path):
    (globo / "articles_metadata.csv").write_text(
        "article_id,category_id,created_at_ts,publisher_id,words_count\n"
        f"100,7,{START - HOUR},0,150\n300,8,{START + 1},0,90\n"
    )
    store = load_dataset("globo", globo, tmp_path / "store")
    table = View(store, START).item_table()
    assert table.frame.filter(pl.col("item_id") == 100)["category"].to_list() == ["7"]
    assert table.frame.filter(pl.col("item_id") == 300)["category"].to_list() == [None]


def test_globo_seconds_and_missing_files_are_refused(globo, tmp_path):
    path = globo / "clicks" / "clicks_hour_001.csv"
    path.write_text(GLOBO + f"5,3,{START // 1000},2,300,{START // 1000},4,1,17,1,25,2\n")
    with pytest.raises(TableError, match=r"(?s)milliseconds.*Fix: multiply"):
        load_dataset("globo", globo, tmp_path / "a")
    with pytest.raises(DatasetError, match=r"clicks\.parquet.*Kaggle"):
        load_dataset("globo", _empty(tmp_path), tmp_path / "b")


def _empty(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def bandit(tmp_path):
    def log(policy: str, clicks: list[int], propensity: float, prob_name: str) -> None:
        n = len(clicks)
        pl.DataFrame(
            {
                "timestamp": ["2019-11-24 00:00:01.000001+00:00"] * 2
                + ["2019-11-25 00:00:01.500000+00:00"] * (n - 2),
                "item_id": list(range(n)),
                "position": [2, 1, *range(1, n - 1)],
                "click": clicks,
                prob_name: [propensity] * n,
                **{f"user_feature_{f}": ["x"] * n for f in range(4)},
            }
        ).write_parquet(tmp_path / f"{policy}_men.parquet")

    log("bts", [0, 1, 0], 0.5, "propensity_score")
    log("random", [0, 0, 1, 0], 0.25, "action_prob")
    pl.DataFrame(
        {
            "item_id": range(4),
            "item_feature_0": [0.1, 0.2, 0.3, 0.4],
            **{f"item_feature_{f}": ["a", "b", "a", "b"] for f in (1, 2, 3)},
        }
    ).write_parquet(tmp_path / "item_context_men.parquet")
    return tmp_path


def test_openbandit_requests_are_their_own_users_and_random_rows_only_evaluate(bandit, tmp_path):
    store = load_dataset("openbandit", bandit, tmp_path / "store")
    view = View(store)
    assert [(items, surface) for _, items, surface in slates(view)] in (
        [(["men/1", "men/0"], "bts/men"), (["men/2"], "bts/men")],
        [(["men/2"], "bts/men"), (["men/1", "men/0"], "bts/men")],
    )
    assert len({user for user, *_ in slates(view)}) == 2
    assert view.n_events == 3 and view.with_evaluation_rows().n_events == 7
    assert set(view.events.weight.tolist()) == {2.0}
    assert set(view.with_evaluation_rows().events.weight.tolist()) == {2.0, 4.0}
    assert view.item_counts().sum() == 1 and view.with_evaluation_rows().item_counts().sum() == 2
    assert store.item_table.roles["item_feature_0"] == "number" and store.table("users").collect().height == 4


def test_openbandit_published_csv_layout(bandit, tmp_path):
    csv = tmp_path / "csv" / "bts" / "men"
    csv.mkdir(parents=True)
    pl.read_parquet(bandit / "bts_men.parquet").write_csv(csv / "men.csv")
    pl.read_parquet(bandit / "item_context_men.parquet").write_csv(csv / "item_context.csv")
    store = load_dataset("openbandit", tmp_path / "csv", tmp_path / "store")
    assert len(store.events) == 3
    with pytest.raises(DatasetError, match=r"bts_men\.parquet.*zozo"):
        load_dataset("openbandit", _empty(tmp_path), tmp_path / "other")


KUAI = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)
APRIL = 1_650_000_000_000


def kuai_line(user: int, video: int, after_s: int, flags: str = "", tab: int = 1, rand: int = 0) -> str:
    on = {name: int(name in flags.split()) for name in ("click", "like", "hate", "long", "profile")}
    return (
        f"{user},{video},20220415,400,{APRIL + after_s * 1000},{on['click']},{on['like']},0,0,0,{on['hate']},"
        f"{on['long']},100,200,0,0,{on['profile']},{rand},{tab}\n"
    )


@pytest.fixture
def kuairand(tmp_path):
    minute = 60
    early = [kuai_line(1, v, v * 10, "click" if v % 4 == 0 else "") for v in range(12)]
    early += [kuai_line(1, 20, 120 + 5 * minute, "click long like"), kuai_line(1, 21, 1000, "hate")]
    early += [kuai_line(1, 22, 55, "click profile", tab=4), kuai_line(2, 0, 30, "click")]
    (tmp_path / "log_standard_4_08_to_4_21_pure.csv").write_text(KUAI + "".join(early))
    (tmp_path / "log_standard_4_22_to_5_08_pure.csv").write_text(KUAI + kuai_line(2, 3, 900_000, "like"))
    random = [
        kuai_line(1, 7, 700_000, "click", rand=1),
        kuai_line(1, 8, 700_030, rand=1),
        kuai_line(2, 9, 5, "like", rand=1),
    ]
    (tmp_path / "log_random_4_22_to_5_08_pure.csv").write_text(KUAI + "".join(random))
    videos = "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,"
    videos += "server_height,music_id,music_type,tag\n"
    videos += "".join(
        f'{v},{v % 3},NORMAL,2022-04-{14 if v < 20 else 30},ShortImport,1,17200.0,720,1280,9,4,"12,{v}"\n'
        for v in range(23)
    )
    (tmp_path / "video_features_basic_pure.csv").write_text(videos)
    (tmp_path / "user_features_pure.csv").write_text(
        "user_id,user_active_degree,register_days\n1,high_active,30\n2,UNKNOWN,5\n"
    )
    return tmp_path


def test_kuairand_feedback_becomes_actions(kuairand, tmp_path):
    store = load_dataset("kuairand", kuairand, tmp_path / "store")
    view = View(store)
    names = store.manifest.actions
    events = view.events.all()
    found = {
        (u, i): {n for b, n in enumerate(names) if m >> b & 1}
        for u, i, m in zip(
            store.users.decode(events.user), store.items.decode(events.item), events.actions, strict=True
        )
    }
    assert found[1, 20] == {"click", "long_view", "like"} and found[1, 22] == {"click", "profile_enter"}
    assert found[1, 21] == {"hate"} and found[1, 1] == set()
    assert len(found) == view.n_events == 17
    assert store.manifest.dataset == "KuaiRand-Pure"
    assert {int(r) for r in view.positives.row} == {
        int(r) for r, m in zip(events.row, events.actions, strict=True) if m and m != 1 << names.index("hate")
    }


def test_kuairand_slates_are_runs_of_at_most_ten_in_one_tab(kuairand, tmp_path):
    view = View(load_dataset("kuairand", kuairand, tmp_path / "store"))
    assert sorted(slates(view)) == [
        (1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "tab 1"),
        (1, [10, 11], "tab 1"),
        (1, [20], "tab 1"),
        (1, [21], "tab 1"),
        (1, [22], "tab 4"),
        (2, [0], "tab 1"),
        (2, [3], "tab 1"),
    ]


def test_kuairand_random_rows_are_never_in_train(kuairand, tmp_path):
    store = load_dataset("kuairand", kuairand, tmp_path / "store")
    view = View(store)
    random = {7: APRIL + 700_000_000, 8: APRIL + 700_030_000, 9: APRIL + 5_000}
    moments = set(random.values())
    split = time_split(store, valid_from=APRIL + 40_000, test_from=APRIL + 900_000)
    for part in (view, split.train, split.valid, split.test):
        assert not moments & set(part.events.time.tolist())
        history = part.histories(part.users, 100, positives_only=False)
        assert not moments & set(history.time[history.mask].tolist())
        assert not {s for _, _, s in slates(part) if s.startswith("evaluation:")}
    assert view.item_counts(positives_only=False)[store.items.encode([9])[0]] == 1  # the standard row only
    shown = view.with_evaluation_rows()
    assert sorted(s for s in slates(shown) if s[2].startswith("evaluation:")) == [
        (1, [7, 8], "evaluation:tab 1"),
        (2, [9], "evaluation:tab 1"),
    ]


def test_kuairand_videos_exist_from_their_upload_day_on(kuairand, tmp_path):
    store = load_dataset("kuairand", kuairand, tmp_path / "store")
    masked = View(store, APRIL).item_table()
    late = store.items.encode([20, 21, 22])
    assert not masked.has_row[late].any() and masked.frame["tags"][int(late[0])] is None
    assert masked.frame["tags"][int(store.items.encode([5])[0])].to_list() == ["tag 12", "tag 5"]
    assert (
        store.item_table.created[store.items.encode([5])] == 1_649_865_600_000
    ).all()  # 2022-04-14 in China
    assert (
        store.item_table.creator[store.items.encode([4])[0]]
        == store.item_table.creator[store.items.encode([1])[0]]
    )
    assert "visible_status" not in masked.frame.columns
    audit(lambda v: (v.item_table(), v.slates(), v.item_counts()), store, APRIL + 60_000).demand()


def test_kuairand_missing_files_are_named(kuairand, tmp_path):
    (kuairand / "video_features_basic_pure.csv").unlink()
    with pytest.raises(DatasetError, match=r"video_features_basic_\*\.csv.*kuairand\.com"):
        load_dataset("kuairand", kuairand, tmp_path / "store")
