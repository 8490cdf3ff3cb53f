"""The ledger: every row of every results file on one page, mistakes named."""

from __future__ import annotations

import json

import pytest

from bowerbird.evaluate.ledger import (
    Claim,
    LedgerError,
    gather_claims,
    ledger_text,
    main,
    write_claims,
    write_ledger,
)


def claim(id="P1", paper="PinRec", status="reproduced", **more):
    fields = {
        "claim": "conditioning helps",
        "paper_number": "+2.8 %",
        "test": "toy data",
        "result": "+1.0 %",
        "interval": "[0.2, 1.8]",
    }
    return Claim(id=id, paper=paper, status=status, **(fields | more))


def test_rows_of_all_files_stand_on_the_page_in_natural_order(tmp_path):
    write_claims(
        tmp_path / "one.json", [claim("P10"), claim("P2", status="not reproduced", note="too few users")]
    )
    write_claims(tmp_path / "two.json", [claim("U1", paper="UniPinRec", status="needs a GPU")], {"seed": 1})
    (tmp_path / "table.json").write_text(json.dumps({"blocks": []}))
    assert write_ledger(tmp_path) == 3
    page = (tmp_path / "ledger.md").read_text()
    assert page.index("| P2 |") < page.index("| P10 |") < page.index("## UniPinRec") < page.index("| U1 |")
    assert "| not reproduced | 1 |" in page and "too few users" in page and "**needs a GPU**" in page
    assert gather_claims(tmp_path)[0].source == "one.json"


def test_the_page_depends_on_the_rows_only(tmp_path):
    rows = [claim("P1"), claim("P2", status="inconclusive")]
    write_claims(tmp_path / "a.json", rows, {"created": "now"})
    first = ledger_text(gather_claims(tmp_path))
    write_claims(tmp_path / "a.json", rows[::-1], {"created": "later"})
    assert ledger_text(gather_claims(tmp_path)) == first


def test_a_bar_or_a_line_break_in_a_cell_does_not_break_the_table(tmp_path):
    line = next(
        line for line in ledger_text([claim(result="a | b\nc")]).splitlines() if line.startswith("| P1")
    )
    assert "a \\| b c" in line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not readable"),
        ('{"claims": [3]}', "claim 1: expected an object"),
        ('{"claims": [{"idd": "P1"}]}', "unknown field 'idd'; did you mean 'id'"),
        ('{"claims": [{"id": "P1"}]}', "missing claim, interval"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, content, says):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(LedgerError, match=says):
        gather_claims(tmp_path)


def test_an_unknown_status_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="did you mean 'reproduced'"):
        claim(status="reproducd")
    write_claims(tmp_path / "a.json", [claim()])
    text = (tmp_path / "a.json").read_text().replace('"reproduced"', '"maybe"')
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LedgerError, match=r"a\.json, claim 1"):
        gather_claims(tmp_path)


def test_the_command(tmp_path, capsys):
    write_claims(tmp_path / "a.json", [claim()])
    target = tmp_path / "page.md"
    assert main([str(tmp_path), str(target)]) == 0 and "| P1 |" in target.read_text()
    assert main([]) == 2
    (tmp_path / "a.json").write_text("{")
    assert main([str(tmp_path)]) == 1
    assert "usage" in (found := capsys.readouterr().err) and "not readable" in found
