"""How SQLite walks to a page: along one index, never by sorting all that match. PostgreSQL's plans need a real load."""

from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as driver
import pytest
from sqlalchemy.dialects import sqlite

from tocsin import start
from tocsin.db import once
from tocsin.db.sqlite import make_engine
from tocsin.delivery import store as outbox
from tocsin.incidents import store, troubles
from tocsin.settings import Settings

SHAPES = {
    (0, 0): "ix_incident_created",
    (0, 0, "place"): "ix_incident_created (created_at<?)",
    (0, 0, "created_after"): "ix_incident_created (created_at>?)",
    (1, 0, "place"): "ix_incident_status (status=? AND created_at<?)",
    (1, 1): "ix_incident_s",  # that of the status or of the source: both are in order
    (0, 1, "place"): "ix_incident_source (source=? AND created_at<?)",
    (0, 0, "filed_by", "place"): "ix_incident_filed_by (filed_by=? AND created_at<?)",
    (0, 0, "partner_id", "place"): "ix_incident_partner (partner_id=? AND created_at<?)",
}


@pytest.mark.parametrize("of", [store.MARKED, store.WITH_PARTNER], ids=["marks", "incidents"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_page_is_one_walk_along_one_index(shape: tuple[Any, ...], of: Any, tmp_path: Path) -> None:
    settings = Settings.model_validate({"TOCSIN_DATA_DIR": tmp_path})
    start.prepare(settings).release()
    statement = store._page(of, False, *shape).compile(
        dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True}
    )
    with driver.connect(str(settings.sqlite_file)) as connection:
        values = [1] * str(statement).count("?")
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert SHAPES[shape] in steps[0]
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize("statement", [outbox.CHANNELS_DUE, outbox.DUE], ids=["channels", "messages"])
def test_what_is_due_is_looked_for_along_the_index_of_a_channel(statement: Any, tmp_path: Path) -> None:
    settings = Settings.model_validate({"TOCSIN_DATA_DIR": tmp_path})
    start.prepare(settings).release()
    with driver.connect(str(settings.sqlite_file)) as connection:
        query = str(statement.compile(dialect=sqlite.dialect()))
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", [1] * query.count("?"))]
    assert any("ix_notification_due (channel_id=? AND follows=? AND due_at<?)" in step for step in steps)
    assert not any("TEMP B-TREE" in step for step in steps)


LISTS = {
    "incidents": (store.HELD, "incident USING INTEGER PRIMARY KEY (rowid=?)"),
    "troubles": (troubles.ACTIVE_TROUBLES, "uq_incident_trouble (dedup_owner=? AND dedup_key=?)"),
    "kept answers": (once.KEPT, "kept_answer USING INDEX sqlite_autoindex_kept_answer_1 (scope=?)"),
    "messages": (outbox.LEASED, "notification USING INTEGER PRIMARY KEY (rowid=?)"),
}


@pytest.mark.parametrize("name", LISTS)
def test_each_of_a_list_is_looked_for_along_an_index(name: str, tmp_path: Path) -> None:
    statement, index = LISTS[name]
    settings = Settings.model_validate({"TOCSIN_DATA_DIR": tmp_path})
    start.prepare(settings).release()
    engine = make_engine(settings.sqlite_file, "ro")
    with engine.connect() as connection:
        query = str(statement.compile(dialect=engine.dialect))
        values = tuple(1 for _ in range(query.count("?")))
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)]
    engine.dispose()
    assert any(f"SEARCH {index}" in step or f"SEARCH incident USING INDEX {index}" in step for step in steps), steps
