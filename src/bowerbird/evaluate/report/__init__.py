"""Reports: blocks of results with their circumstances, as JSON, one self-contained HTML file, and on a terminal."""

from bowerbird.evaluate.report.blocks import Block, LearningCurve, Notes, Table
from bowerbird.evaluate.report.facts import commit, gather_facts
from bowerbird.evaluate.report.report import Report, verdicts

__all__ = ["Block", "LearningCurve", "Notes", "Report", "Table", "commit", "gather_facts", "verdicts"]
