"""The report of a sweep of certificates, with names that AWS IoT allows and a spreadsheet may not take as text."""

from __future__ import annotations

import csv

import pytest

from functions.sweep_certificates import app as sweep_app
from tests.hostile.corpus import Case, cases, count, name_of
from tests.hostile.harness import Stage

OF_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The beginnings of cells that a spreadsheet evaluates instead of showing them (OWASP, CSV Injection)."""


@pytest.mark.parametrize("case", cases("thing-names"), ids=name_of)
def test_a_name_stands_in_its_cell_and_nothing_in_the_report_is_a_formula(stage: Stage, case: Case) -> None:
    stage.deployment.enrol(case.said["thing"])
    stage.age_certificates()

    run = stage.run(sweep_app.lambda_handler, {})

    assert run.answer == {"sweep": "reported"}
    [line] = run.lines
    assert line["result"] == "reported"
    [put] = run.made("PutObject")
    kept = stage.deployment.client("s3").get_object(Bucket="evidence", Key=put["Key"])["Body"].read().decode()
    _, row = csv.reader(kept.splitlines())
    assert row[3] == case.expect["cell"]
    assert not [cell for cell in row if cell.startswith(OF_A_FORMULA)]


def test_the_names_are_as_many_as_promised() -> None:
    assert count("thing-names") >= 13
