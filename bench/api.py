"""Prints what the API's list of 50 policies and the page beside it cost above their queries, in processor time.

`make bench-api N=1000` loads N policies on SQLite; with BENCH_POSTGRES_URL naming a server, there in a database of its
own. A request goes through the whole application; the statements that it made are then executed again by themselves.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Engine, event
from werkzeug.test import create_environ

from bench.pages import loaded, sign_in

TIMES, ROUNDS = 100, 5
LISTS = {
    "page of 50 policies": ("/policies", "Cookie"),
    "API, 50 policies": ("/api/v1/policies?limit=50", "Authorization"),
}


def main() -> None:
    """Load a book, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=1000)
    with loaded(parser.parse_args().policies) as (app, _seconds):
        with app.app_context():
            engine: Engine = app.extensions["sqlalchemy"].engine
        headers = sign_in(app, "admin")
        print(f"\n{engine.dialect.name}, ms of processor time{'request':>12}{'queries':>10}{'above':>8}")
        for name, (path, header) in LISTS.items():
            environ = create_environ(path, headers={header: headers[header]})
            request, queries = measured(partial(ask, app, environ), engine)
            print(f"{name:35}{request:>12.2f}{queries:>10.2f}{request - queries:>8.2f}")
        engine.dispose()


def ask(app: Any, environ: dict[str, Any]) -> None:
    """Send a request as a web server would."""
    began: list[str] = []
    body = app(environ.copy(), lambda status, _headers: began.append(status))
    assert b"".join(body)
    assert began == ["200 OK"], began
    body.close()


def measured(act: Callable[[], None], engine: Engine) -> tuple[float, float]:
    """What an act costs, and its statements alone."""
    act()  # what is asked once in ten seconds is known by now
    with heard(engine) as statements:
        act()

    def query() -> None:
        with engine.connect() as connection:
            for statement, parameters in statements:
                connection.execute(statement, parameters).all()

    return cheapest(act), cheapest(query)


@contextmanager
def heard(engine: Engine) -> Iterator[list[tuple[Any, Any]]]:
    """The statements that are executed, with their parameters."""
    statements: list[tuple[Any, Any]] = []

    def hear(_connection: Any, statement: Any, _many: Any, parameters: Any, _options: Any) -> None:
        if hasattr(statement, "compile"):  # neither BEGIN nor PRAGMA
            statements.append((statement, parameters))

    event.listen(engine, "before_execute", hear)
    yield statements
    event.remove(engine, "before_execute", hear)


def cheapest(act: Callable[[], None]) -> float:
    """The mean in milliseconds of the cheapest of several rounds: who else uses the machine only adds to it."""
    for _ in range(TIMES):
        act()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            act()
        rounds.append((time.process_time() - began) / TIMES * 1000)
    return min(rounds)


if __name__ == "__main__":
    main()
