"""The wall in time: every read of training and evaluation goes through a `View`."""

from bowerbird.tables.view.examples import BlendedBatch, BlendedExamples, SlateFilter
from bowerbird.tables.view.rows.events import EventRows, HeldOut, VisibleEvents
from bowerbird.tables.view.rows.histories import HistoryBatch
from bowerbird.tables.view.rows.mentions import MentionKind, Mentions, Texts
from bowerbird.tables.view.rows.slates import Slate, SlateBatch, Slates
from bowerbird.tables.view.rows.source import EVALUATION_PREFIX
from bowerbird.tables.view.rows.trends import TrendTable
from bowerbird.tables.view.splits import Split, given_split, leave_last_out, time_split, user_split
from bowerbird.tables.view.view import View
from bowerbird.tables.view.walls import LastOut, TimeWall, Wall, WithoutUsers

__all__ = [
    "EVALUATION_PREFIX",
    "BlendedBatch",
    "BlendedExamples",
    "EventRows",
    "HeldOut",
    "HistoryBatch",
    "LastOut",
    "MentionKind",
    "Mentions",
    "Slate",
    "SlateBatch",
    "SlateFilter",
    "Slates",
    "Split",
    "Texts",
    "TimeWall",
    "TrendTable",
    "View",
    "VisibleEvents",
    "Wall",
    "WithoutUsers",
    "given_split",
    "leave_last_out",
    "time_split",
    "user_split",
]
