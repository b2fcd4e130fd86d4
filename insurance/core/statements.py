"""What is asked of the database: how often, how long, and which statements were slow."""

import time
from dataclasses import dataclass
from typing import Any

from flask import current_app, g, has_app_context
from sqlalchemy import event
from sqlalchemy.engine import Engine

from . import metrics


@dataclass
class Asked:
    """What a request has asked of the database."""

    statements: int = 0
    seconds: float = 0.0


def begin() -> None:
    """Count anew."""
    g.asked = Asked()


def end(endpoint: str) -> None:
    """Put down what was asked since, under the name of who asked."""
    asked = g.get("asked")
    if asked and asked.statements:
        counted = metrics.of_app()
        counted.statements.labels(endpoint).inc(asked.statements)
        counted.database_seconds.labels(endpoint).inc(asked.seconds)


@event.listens_for(Engine, "before_cursor_execute")
def _before(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if context is not None:
        context.began = time.perf_counter()


@event.listens_for(Engine, "after_cursor_execute")
def _after(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if context is None or not has_app_context():
        return
    took = time.perf_counter() - context.began
    asked = g.get("asked")
    if asked:
        asked.statements += context.compiled is not None  # neither BEGIN nor PRAGMA is a question
        asked.seconds += took
    if took * 1000 >= current_app.config["SLOW_QUERY_MS"]:
        # As it was prepared: what it was given stays out of the log.
        fields = {"ms": round(took * 1000), "statement": statement}
        current_app.logger.warning("slow query", extra={"fields": fields})
