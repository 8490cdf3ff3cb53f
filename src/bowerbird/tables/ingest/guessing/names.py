"""What the names of columns and files usually mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bowerbird.tables.schema import Columns

SYNONYMS: Final[dict[str, Sequence[str]]] = {
    Columns.USER: [
        "userid",
        "user",
        "uid",
        "customerid",
        "customer",
        "memberid",
        "member",
        "visitorid",
        "visitor",
        "reviewerid",
        "accountid",
        "profileid",
        "viewerid",
        "clientid",
        "personid",
        "readerid",
        "listenerid",
        "deviceid",
    ],
    Columns.ITEM: [
        "itemid",
        "item",
        "iid",
        "productid",
        "product",
        "movieid",
        "movie",
        "asin",
        "parentasin",
        "sku",
        "articleid",
        "clickarticleid",
        "article",
        "newsid",
        "songid",
        "song",
        "trackid",
        "track",
        "videoid",
        "video",
        "bookid",
        "book",
        "contentid",
        "content",
        "postid",
        "pinid",
        "adid",
        "businessid",
        "docid",
        "documentid",
        "listingid",
        "gameid",
        "recipeid",
    ],
    Columns.TIMESTAMP: [
        "timestamp",
        "ts",
        "time",
        "eventtime",
        "eventtimestamp",
        "clicktimestamp",
        "timems",
        "unixreviewtime",
        "occurredat",
        "happenedat",
        "ratedat",
        "datetime",
        "date",
        "createdat",
        "created",
    ],
    Columns.SURFACE: ("surface", "placement", "page", "screen", "channel"),
    Columns.REQUEST: ("requestid", "request", "impressionid", "slateid", "searchid", "recommendationid"),
    Columns.POSITION: ("position", "pos", "rank", "slot"),
    Columns.QUERY: ("query", "searchquery", "searchterm", "searchterms", "q", "keywords"),
    Columns.ACTIONS: [
        "actions",
        "action",
        "eventtype",
        "event",
        "behavior",
        "behaviour",
        "behaviortype",
        "behaviourtype",
        "interaction",
        "interactiontype",
        "actiontype",
        "verb",
        "feedback",
    ],
    Columns.WEIGHT: ("weight", "eventweight"),
    Columns.CREATOR: [
        "creatorid",
        "creator",
        "authorid",
        "author",
        "artistid",
        "artist",
        "sellerid",
        "seller",
        "publisherid",
        "publisher",
        "uploaderid",
        "uploader",
        "brandid",
        "ownerid",
        "channelid",
    ],
    Columns.CREATED: [
        "createdat",
        "created",
        "createdatts",
        "createdon",
        "publishedat",
        "publishedon",
        "publishdate",
        "published",
        "pubdate",
        "releasedate",
        "releasedat",
        "uploadedat",
        "uploaddate",
    ],
    Columns.COLLECTION: (
        "collectionid",
        "collection",
        "playlistid",
        "playlist",
        "boardid",
        "board",
        "shelfid",
        "pid",
    ),
    Columns.TITLE: ("title", "name", "headline", "itemname", "productname"),
    Columns.CLIP: ("clipid", "clip", "recordingid", "audioid"),
}
"""Usual names of a column, best first, lower case without punctuation."""

RATINGS: Final = ("rating", "stars", "score", "overall", "reviewscore")

VERBS: Final = {
    "rating": "rate",
    "review": "review",
    "tag": "tag",
    "click": "click",
    "view": "view",
    "purchase": "purchase",
    "order": "purchase",
    "transaction": "purchase",
    "like": "like",
    "save": "save",
    "play": "play",
    "listen": "play",
    "watch": "watch",
    "borrow": "borrow",
    "cart": "cart",
}
"""What a file of events is about, by a word in its name."""

_FLAG = re.compile(
    r"^(?:is|has|did)?(click|like|save|follow|comment|share|forward|hate|hide|longview|purchase|buy|cart|play|"
    r"view|skip|dislike|favorite|favourite|bookmark|subscribe|download|install)(?:ed|d)?(?:flag)?$"
)


def plain(name: str) -> str:
    """A name in lower case without punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def match(columns: list[str], meaning: str) -> str | None:
    """The column that usually has this meaning, or None."""
    by_plain: dict[str, str] = {}
    for name in columns:
        by_plain.setdefault(plain(name), name)
    return next((by_plain[word] for word in SYNONYMS[meaning] if word in by_plain), None)


def flag_action(name: str) -> str | None:
    """The action a yes/no column says, going by its name."""
    found = _FLAG.match(plain(name))
    return found.group(1) if found else None


def verb_of(stem: str) -> str | None:
    """The action of a file of events, going by its name."""
    return next((verb for word, verb in VERBS.items() if word in stem.lower()), None)
