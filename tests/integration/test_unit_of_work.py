"""A unit of work that changed state and told nobody is refused, however it changed it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Table, column, func, insert, select, table, text, update

from slackwater.database.port import Database
from slackwater.outbox.inbox import record_handled
from slackwater.outbox.tally import may_write
from slackwater.outbox.unit_of_work import ForgottenEventError, UnitOfWork
from slackwater.testing import counting
from slackwater.testing.counting import counters, raise_counter, unit_of_work
from tests.integration.service_bench import OpenDatabase

_INSERT = "INSERT INTO counter (id, value) VALUES ('c', 1)"

Work = Callable[[UnitOfWork], object]


@contextmanager
def _undone(unit: UnitOfWork) -> Iterator[None]:
    """Do what is inside, and take it back to a savepoint."""
    savepoint = unit.connection.begin_nested()
    yield
    savepoint.rollback()


@pytest.fixture
async def database(open_database: OpenDatabase) -> AsyncIterator[Database]:
    database = open_database("counting")
    await database.transact(counting.metadata.create_all)
    yield database
    await database.close()


def _execute(unit: UnitOfWork) -> object:
    return unit.connection.execute(insert(counters).values(id="c", value=1))


def _execute_many(unit: UnitOfWork) -> object:
    return unit.connection.execute(insert(counters), [{"id": each, "value": 1} for each in "abc"])


def _execute_many_returning(unit: UnitOfWork) -> object:
    rows = [{"id": each, "value": 1} for each in "abc"]
    return unit.connection.execute(insert(counters).returning(counters.c.id), rows).all()


def _execute_text(unit: UnitOfWork) -> object:
    return unit.connection.execute(text(_INSERT))


def _execute_many_texts(unit: UnitOfWork) -> object:
    rows = [{"id": each} for each in "abc"]
    return unit.connection.execute(text("INSERT INTO counter (id, value) VALUES (:id, 1)"), rows)


def _execute_driver_sql(unit: UnitOfWork) -> object:
    return unit.connection.exec_driver_sql(f"/* by hand */ {_INSERT}")


def _execute_light_table(unit: UnitOfWork) -> object:
    light = table("counter", column("id"), column("value"))
    return unit.connection.execute(insert(light).values(id="c", value=1))


def _execute_through_kernel_name(unit: UnitOfWork) -> object:
    return unit.connection.execute(text("DELETE FROM inbox"))


def _change_in_released_savepoint(unit: UnitOfWork) -> None:
    with unit.connection.begin_nested():
        _execute(unit)


def _undo_the_event_alone(unit: UnitOfWork) -> None:
    _execute(unit)
    with _undone(unit):
        raise_counter(unit, "told")


def _undo_the_event_of_a_released_savepoint(unit: UnitOfWork) -> None:
    _execute(unit)
    with _undone(unit), unit.connection.begin_nested():
        raise_counter(unit, "told")


def _undo_the_event_by_hand(unit: UnitOfWork) -> None:
    _execute(unit)
    for statement in ("SAVEPOINT mine", None, "ROLLBACK TO SAVEPOINT mine", "RELEASE mine"):
        if statement is None:
            raise_counter(unit, "told")
        else:
            unit.connection.execute(text(statement))


def _undo_the_event(unit: UnitOfWork, savepoint: str, undo: str) -> None:
    _execute(unit)
    unit.connection.exec_driver_sql(savepoint)
    raise_counter(unit, "told")
    unit.connection.exec_driver_sql(undo)


def _undo_the_event_behind_a_comment(unit: UnitOfWork) -> None:
    _undo_the_event(unit, "/* try */ SAVEPOINT mine", "-- give up\nROLLBACK /* all */ TO mine")


def _undo_the_event_under_a_name_in_other_letters(unit: UnitOfWork) -> None:
    _undo_the_event(unit, "SAVEPOINT Mine", 'ROLLBACK TO SAVEPOINT "mine"')


def _change_before_a_savepoint_in_other_letters(unit: UnitOfWork) -> None:
    _execute(unit)
    for statement in ("SAVEPOINT Mine", "ROLLBACK TO mine", 'RELEASE"mine"'):
        unit.connection.exec_driver_sql(statement)


def _change_after_an_excuse(unit: UnitOfWork) -> None:
    with unit.without_event("a test"), unit.without_event("a test, deeper"):
        pass
    _execute(unit)


def _change_before_an_excuse(unit: UnitOfWork) -> None:
    _execute(unit)
    with unit.without_event("a test"):
        unit.connection.execute(update(counters).values(value=2))


def _change_after_an_excuse_that_failed(unit: UnitOfWork) -> None:
    with pytest.raises(ValueError, match="on purpose"), unit.without_event("a test"):
        raise ValueError("on purpose")
    _execute(unit)


@pytest.mark.parametrize(
    "work",
    [
        _execute,
        _execute_many,
        _execute_many_returning,
        _execute_text,
        _execute_many_texts,
        _execute_driver_sql,
        _execute_light_table,
        _execute_through_kernel_name,
        _change_in_released_savepoint,
        _undo_the_event_alone,
        _undo_the_event_of_a_released_savepoint,
        _undo_the_event_by_hand,
        _undo_the_event_behind_a_comment,
        _undo_the_event_under_a_name_in_other_letters,
        _change_before_a_savepoint_in_other_letters,
        _change_after_an_excuse,
        _change_before_an_excuse,
        _change_after_an_excuse_that_failed,
    ],
)
async def test_a_change_without_an_event_is_refused(database: Database, work: Work) -> None:
    with pytest.raises(ForgottenEventError):
        await _run(database, work)
    assert await database.read(_count) == 0


def _read_only(unit: UnitOfWork) -> None:
    unit.connection.execute(select(counters).with_for_update()).all()
    unit.connection.execute(
        text("SELECT replace('update x set y', 'delete from', id) FROM counter")
    )


def _undo_the_change(unit: UnitOfWork) -> None:
    with _undone(unit):
        _execute(unit)
        with unit.connection.begin_nested():
            unit.connection.execute(update(counters).values(value=2))


def _excused(unit: UnitOfWork) -> None:
    with unit.without_event("a test"):
        _execute(unit)
        with unit.without_event("a test, deeper"):
            unit.connection.execute(update(counters).values(value=2))
        unit.connection.execute(update(counters).values(value=3))


def _excused_and_undone(unit: UnitOfWork) -> None:
    with unit.without_event("a test"), _undone(unit):
        _execute(unit)


def _handle(unit: UnitOfWork) -> None:
    record_handled(unit.connection, counting.tables, "consumer", ["event"])


def _undo_the_change_and_tell_of_another(unit: UnitOfWork) -> None:
    _undo_the_change(unit)
    raise_counter(unit, "told")


@pytest.mark.parametrize(
    "work",
    [
        _read_only,
        _undo_the_change,
        _excused,
        _excused_and_undone,
        _handle,
        _undo_the_change_and_tell_of_another,
    ],
)
async def test_what_nobody_has_to_hear_of_needs_no_event(database: Database, work: Work) -> None:
    await _run(database, work)


async def test_an_event_that_was_undone_is_not_there(database: Database) -> None:
    def work(unit: UnitOfWork) -> None:
        with _undone(unit):
            raise_counter(unit, "undone")
        raise_counter(unit, "told")

    await _run(database, work)
    ids = select(counting.tables.events.c.aggregateid)
    told = await database.read(lambda connection: list(connection.execute(ids).scalars()))
    assert told == ["told"]


async def test_units_of_one_transaction_are_judged_one_by_one(database: Database) -> None:
    def work(connection: Connection) -> None:
        unit_of_work(connection).run(lambda unit: raise_counter(unit, "told"))
        unit_of_work(connection).run(_execute)

    with pytest.raises(ForgottenEventError):
        await database.transact(work)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t values (1)",
        "  -- by hand\n UPDATE t SET a = 1",
        "WITH gone AS (DELETE FROM t RETURNING a) SELECT * FROM gone",
        "WITH new AS (UPDATE ONLY t AS x SET a = 1 RETURNING a) SELECT * FROM new",
        "REPLACE INTO t VALUES (1)",
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DO NOTHING",
        "TRUNCATE t",
        "COPY t FROM STDIN",
        "-- it's by hand\nDELETE FROM t",
        "/* it's */ /**/ TRUNCATE t",
        "/* outer /* inner */ still */ TRUNCATE t",
        "SELECT '--' FROM t; TRUNCATE t",
        "SELECT '/*' FROM t; TRUNCATE t -- */",
        """SELECT "--" FROM t; TRUNCATE t""",
        r"SELECT E'\'--' FROM t; TRUNCATE t",
        "SELECT $x$ '-- $x$ FROM t; TRUNCATE t",
        "DELETE/**/FROM t",
        "WITH x AS (SELECT '--'), gone AS (DELETE FROM t RETURNING a) SELECT * FROM gone",
        "WITH x AS (SELECT 1) REPLACE INTO t SELECT * FROM x",
        "WITH x AS (SELECT 1) INSERT OR REPLACE INTO t SELECT * FROM x",
        "EXECUTE prepared",
    ],
)
def test_what_may_write_is_told_by_its_words(sql: str) -> None:
    assert may_write(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT a FROM t FOR UPDATE",
        "SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED",
        "SELECT 'insert into t' -- delete from t",
        "SELECT updated_at, deleted FROM inserts",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "PRAGMA data_version",
        "SET LOCAL lock_timeout = 1",
        "SAVEPOINT insert_something",
        "SELECT 'it''s; delete from t'",
        "SELECT 1 /* delete from t; /* insert into t */ truncate t */",
        "SELECT $$delete from t$$, $1, $2",
        r"SELECT E'\'; delete from t'",
    ],
)
def test_what_reads_is_told_by_its_words(sql: str) -> None:
    assert not may_write(sql)


async def _run(database: Database, work: Work) -> None:
    await database.transact(lambda connection: unit_of_work(connection).run(work))


def _count(connection: Connection) -> int:
    tables: list[Table] = [counters, counting.tables.events]
    counts = [select(func.count()).select_from(each) for each in tables]
    return sum(connection.execute(count).scalar_one() for count in counts)
