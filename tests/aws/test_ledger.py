"""The ledger on DynamoDB keeps what the ledger promises; the table is the one that template.yaml deploys."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws.conftest import REGION
from tests.aws_stand_in.strict import StrictAws
from tests.fakes import FakeLedger
from tests.template.transformed import resources
from warden.aws.ledger import DynamoLedger
from warden.core.errors import Conflict
from warden.core.ledger import NEW, Index, Key, Ledger, Put

TABLE = "ledger"
KEY = Key("CASE#1", "CASE")


def make_table() -> Any:
    """Make the table as deployed, and a client that gets pages of two: what is longer needs another page."""
    properties = resources("AWS::DynamoDB::Table")["Ledger"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    client: Any = boto3.client("dynamodb", region_name=REGION)
    client.create_table(TableName=TABLE, **{name: properties[name] for name in wanted})
    client.meta.events.register("before-parameter-build.dynamodb.Query", _pages_of_two)
    return client


def _pages_of_two(params: dict[str, Any], **_: object) -> None:
    params.setdefault("Limit", 2)


@pytest.fixture(params=["moto", "fakes"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "fakes":
        return FakeLedger()
    request.getfixturevalue("aws")
    return DynamoLedger(make_table(), TABLE)


class TestOneRecord:
    def test_what_was_written_is_read_with_its_version(self, ledger: Ledger) -> None:
        ledger.commit(Put(KEY, {"type": "case", "thing": "pump-3"}, NEW))

        assert ledger.read(KEY) == {"type": "case", "thing": "pump-3", "version": 1}
        assert ledger.read(Key("CASE#1", "OTHER")) is None

    def test_every_kind_of_value_comes_back_as_it_was(self, ledger: Ledger) -> None:
        record = {
            "type": "case",
            "int": 3,
            "zero": 0,
            "big": 1795341600000,
            "float": 0.125,
            "negative": -2.5,
            "true": True,
            "null": None,
            "empty": "",
            "list": [1, "two", 2.5, {"deep": [0.5, 7]}],
            "map": {"a b": {"n": 1}, "ü": "ß"},
        }

        ledger.commit(Put(KEY, record, NEW))

        read = ledger.read(KEY)
        assert read == {**record, "version": 1}
        assert isinstance(read["int"], int)
        assert isinstance(read["true"], bool)
        assert isinstance(read["float"], float)

    def test_a_tuple_becomes_a_list_and_a_word_a_text(self, ledger: Ledger) -> None:
        ledger.commit(Put(KEY, {"type": Index.STATE, "names": ("a", "b")}, NEW))

        assert ledger.read(KEY) == {"type": "state", "names": ["a", "b"], "version": 1}

    def test_each_write_is_a_version(self, ledger: Ledger) -> None:
        for seen in range(3):
            ledger.commit(Put(KEY, {"type": "case", "step": seen}, seen))

        assert ledger.read(KEY) == {"type": "case", "step": 2, "version": 3}

    def test_a_whole_record_is_written_and_nothing_of_the_one_before_stays(self, ledger: Ledger) -> None:
        ledger.commit(Put(KEY, {"type": "case", "due": "due"}, NEW))
        ledger.commit(Put(KEY, {"type": "case"}, 1))

        assert ledger.read(KEY) == {"type": "case", "version": 2}

    @pytest.mark.parametrize("seen", [0, 1, 3])
    def test_another_version_is_a_conflict_and_nothing_is_written(self, ledger: Ledger, seen: int) -> None:
        ledger.commit(Put(KEY, {"type": "first"}, NEW))
        ledger.commit(Put(KEY, {"type": "second"}, 1))

        with pytest.raises(Conflict, match="CASE#1"):
            ledger.commit(Put(KEY, {"type": "third"}, seen))
        assert ledger.read(KEY) == {"type": "second", "version": 2}

    def test_a_record_that_is_not_there_has_no_version_to_be_at(self, ledger: Ledger) -> None:
        with pytest.raises(Conflict):
            ledger.commit(Put(KEY, {"type": "case"}, 1))

    def test_nothing_to_write_is_nothing_done(self, ledger: Ledger) -> None:
        ledger.commit()


class TestSeveralRecords:
    def test_all_are_written(self, ledger: Ledger) -> None:
        ledger.commit(Put(KEY, {"type": "a"}, NEW), Put(Key("CASE#1", "T#1"), {"type": "b"}, NEW))

        assert [found.record["type"] for found in ledger.partition("CASE#1")] == ["a", "b"]

    def test_one_conflict_and_none_is_written(self, ledger: Ledger) -> None:
        ledger.commit(Put(KEY, {"type": "a"}, NEW))

        with pytest.raises(Conflict, match="CASE#1"):
            ledger.commit(Put(Key("THING#x", "ROTATION"), {"type": "b"}, NEW), Put(KEY, {"type": "c"}, NEW))

        assert ledger.read(Key("THING#x", "ROTATION")) is None
        assert ledger.read(KEY) == {"type": "a", "version": 1}


class TestAPartition:
    def test_it_is_read_in_order_to_the_last_page(self, ledger: Ledger) -> None:
        for number in (5, 1, 4, 2, 3):
            ledger.commit(Put(Key("CASE#1", f"T#{number:03d}"), {"type": "line", "number": number}, NEW))
        ledger.commit(Put(Key("CASE#2", "T#001"), {"type": "line", "number": 9}, NEW))

        found = list(ledger.partition("CASE#1"))

        assert [each.record["number"] for each in found] == [1, 2, 3, 4, 5]
        assert found[0].key == Key("CASE#1", "T#001")

    def test_a_prefix_leaves_the_others_out(self, ledger: Ledger) -> None:
        for sort in ("CASE", "T#1", "T#2", "T#3", "U#1"):
            ledger.commit(Put(Key("CASE#1", sort), {"type": "x"}, NEW))

        assert [each.key.sort for each in ledger.partition("CASE#1", prefix="T#")] == ["T#1", "T#2", "T#3"]


class TestAnIndex:
    @pytest.fixture(autouse=True)
    def _records(self, ledger: Ledger) -> None:
        for number in (3, 1, 5, 2, 4):
            record = {"type": "job", "due": "due", "due_at": f"2026-11-2{number}T00:00:00.000000Z", "number": number}
            ledger.commit(Put(Key(f"JOB#{number}", "JOB"), record, NEW))
        ledger.commit(Put(Key("JOB#6", "JOB"), {"type": "job", "number": 6}, NEW))
        ledger.commit(Put(Key("JOB#7", "JOB"), {"type": "job", "due": "due", "number": 7}, NEW))

    def test_it_lists_by_time_to_the_last_page_and_only_what_has_both_attributes(self, ledger: Ledger) -> None:
        assert _numbers(ledger, newest_first=False) == [1, 2, 3, 4, 5]

    def test_the_newest_first_when_asked(self, ledger: Ledger) -> None:
        assert _numbers(ledger, newest_first=True) == [5, 4, 3, 2, 1]

    def test_until_is_inclusive(self, ledger: Ledger) -> None:
        found = ledger.find(Index.DUE, "due", until="2026-11-23T00:00:00.000000Z")

        assert [each.record["number"] for each in found] == [1, 2, 3]

    def test_whether_there_is_any_is_asked_of_one_value(self, ledger: Ledger) -> None:
        assert ledger.has_any(Index.DUE, "due")
        assert not ledger.has_any(Index.DUE, "another")
        assert not ledger.has_any(Index.STATE, "due")

    def test_what_is_settled_leaves_the_index(self, ledger: Ledger) -> None:
        ledger.commit(Put(Key("JOB#1", "JOB"), {"type": "job", "number": 1}, 1))

        assert _numbers(ledger, newest_first=False) == [2, 3, 4, 5]

    @pytest.mark.parametrize(
        ("index", "attribute"), [(Index.STATE, "case_state"), (Index.THING, "case_thing")], ids=["state", "thing"]
    )
    def test_cases_are_found_by_state_and_thing(self, ledger: Ledger, index: Index, attribute: str) -> None:
        for number in range(4):
            record = {"type": "case", attribute: "x", "opened_at": f"2026-11-2{number}", "number": number}
            ledger.commit(Put(Key(f"CASE#{number}", "CASE"), record, NEW))

        assert [each.record["number"] for each in ledger.find(index, "x")] == [0, 1, 2, 3]
        assert list(ledger.find(index, "y")) == []


@pytest.mark.usefixtures("aws")
class TestTheCallsThemselves:
    @pytest.fixture
    def table(self) -> DynamoLedger:
        return DynamoLedger(make_table(), TABLE)

    def test_no_stale_copy_is_read_where_a_decision_follows(self, table: DynamoLedger, strict: StrictAws) -> None:
        strict.forget()
        table.read(KEY)
        list(table.partition("CASE#1"))

        assert [call["ConsistentRead"] for _, _, call in strict.calls] == [True, True]

    def test_whether_there_is_any_reads_one_record(self, table: DynamoLedger, strict: StrictAws) -> None:
        table.has_any(Index.STATE, "contained")

        [asked] = strict.made("Query")
        assert asked["Limit"] == 1

    def test_a_second_page_was_really_asked_for(self, table: DynamoLedger, strict: StrictAws) -> None:
        for number in range(3):
            table.commit(Put(Key("CASE#1", f"T#{number}"), {"type": "x"}, NEW))
        strict.forget()

        assert len(list(table.partition("CASE#1"))) == 3
        assert len(strict.made("Query")) >= 2

    def test_a_crowded_transaction_is_a_conflict_and_any_other_error_rises(
        self, table: DynamoLedger, strict: StrictAws
    ) -> None:
        puts = [Put(Key("A", "1"), {"type": "x"}, NEW), Put(Key("A", "2"), {"type": "x"}, NEW)]
        for reasons in (["None", "TransactionConflict"], ["ThrottlingError", "None"]):
            told = [{"Code": reason} for reason in reasons]
            strict.refuse("TransactWriteItems", "TransactionCanceledException", CancellationReasons=told)
        strict.refuse("TransactWriteItems", "ProvisionedThroughputExceededException")
        strict.refuse("PutItem", "TransactionConflictException")

        with pytest.raises(Conflict, match="changed meanwhile"):
            table.commit(*puts)
        with pytest.raises(Conflict, match="is being changed right now"):
            table.commit(puts[0])
        for code in ("TransactionCanceled", "ProvisionedThroughputExceeded"):
            with pytest.raises(ClientError, match=code):
                table.commit(*puts)


def _numbers(ledger: Ledger, *, newest_first: bool) -> list[int]:
    return [int(each.record["number"]) for each in ledger.find(Index.DUE, "due", newest_first=newest_first)]
