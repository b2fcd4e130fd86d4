"""How the business and the work behind it stand, read from the database whenever `/metrics` is asked for."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import func, select, union_all
from sqlalchemy.exc import SQLAlchemyError

from ..billing.domain import DisbursementKind, DisbursementStatus
from ..billing.models import Disbursement, OpenInvoiceTally
from ..core import clock, metrics
from ..core.db import db
from ..core.money import Money
from ..core.outbox import Mail, MailStatus
from ..jobs.models import JobRun, WorkerBeat
from ..payments.domain import PaymentStatus
from ..payments.models import Payment
from ..policies.models import PolicyTally
from . import VERSION

MOST = 10_000
"""What can grow without end is counted to so many: more is as bad."""
ON_THEIR_WAY = (PaymentStatus.CREATED, PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
OWED = (DisbursementStatus.REQUESTED, DisbursementStatus.APPROVED)


def text() -> bytes:
    """All figures, in Prometheus's words."""
    registry = CollectorRegistry()
    registry.register(metrics.of_app())
    registry.register(_Figures())
    return generate_latest(registry)


class _Figures:
    """Collects everything that the database knows; where it does not answer, that is the figure."""

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge("build_info", "Always 1; the labels say what runs.", ("version",), [((VERSION,), 1)])
        try:
            found = [*_outbox(), *_jobs(), *_payments(), *_invoices(), *_orders(), *_workers(), *_policies()]
            yield _gauge("database_up", "Whether the database answers.", (), [((), 1)])
            yield from found
        except SQLAlchemyError:
            current_app.logger.exception("no figures from the database")
            yield _gauge("database_up", "Whether the database answers.", (), [((), 0)])


def _gauge(name: str, says: str, labels: tuple[str, ...], rows: Iterable[tuple[Any, float]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"insurance_{name}", says, labels=labels)
    for values, value in rows:
        gauge.add_metric([str(value) for value in values], value)
    return gauge


def _age(instant: datetime | None) -> float:
    return (clock.now() - instant).total_seconds() if instant else 0.0


def _money(rows: Iterable[tuple[Any, int | None, str]]) -> list[tuple[Any, float]]:
    return [((*labels, currency), float(str(Money(int(minor or 0), currency)))) for labels, minor, currency in rows]


def _outbox() -> Iterator[GaugeMetricFamily]:
    due, tried = Mail.status == MailStatus.DUE, Mail.attempts > 0
    counted = {
        "due": due & ~tried,
        "failed": due & tried,
        "kept": Mail.status == MailStatus.KEPT,
        "dead": Mail.status == MailStatus.DEAD,
    }
    some = [select(Mail.id).where(condition).limit(MOST).subquery() for condition in counted.values()]
    # Among those due now: a mail that failed is due again later.
    oldest = select(func.min(Mail.due_at)).where(due, Mail.due_at <= clock.now())
    *counts, waits_since = db.session.execute(
        select(*(select(func.count()).select_from(rows).scalar_subquery() for rows in some), oldest.scalar_subquery())
    ).one()
    states = [((state,), count) for state, count in zip(counted, counts, strict=True)]
    yield _gauge("outbox_mails", f"Mails that are not out, to {MOST:,} of each state.", ("state",), states)
    yield _gauge("outbox_age_seconds", "For how long the oldest due mail has waited.", (), [((), _age(waits_since))])


def _jobs() -> Iterator[GaugeMetricFamily]:
    ends = (
        select(JobRun.name, func.max(JobRun.id).label("last"), func.max(JobRun.finished_at).label("finished_at"))
        .group_by(JobRun.name)
        .subquery()
    )
    runs = db.session.execute(
        select(ends.c.name, ends.c.finished_at, JobRun.started_at, JobRun.finished_at).join(
            JobRun, JobRun.id == ends.c.last
        )
    ).all()
    ages = [((name,), _age(done)) for name, done, _, _ in runs if done]
    took = [((name,), (ended - started).total_seconds()) for name, _, started, ended in runs if ended]
    well = [((name,), 1 if ended else 0) for name, _, _, ended in runs]
    yield _gauge("job_age_seconds", "Time since the job last came to its end.", ("job",), ages)
    yield _gauge("job_duration_seconds", "How long its last run took.", ("job",), took)
    yield _gauge("job_succeeded", "1 if its last run came to its end, else 0.", ("job",), well)


def _payments() -> Iterator[GaugeMetricFamily]:
    waiting = [
        select(Payment.status.label("status")).where(Payment.status == status).limit(MOST).subquery()
        for status in ON_THEIR_WAY
    ]
    since = clock.today() - timedelta(days=1)
    recent = select(Payment.status.label("status")).where(Payment.paid_on >= since, Payment.status.not_in(ON_THEIR_WAY))
    every = union_all(*(select(rows.c.status) for rows in waiting), recent).subquery()
    found: dict[Any, int] = dict(
        db.session.execute(select(every.c.status, func.count()).group_by(every.c.status)).all()
    )
    says = f"Payments on their way, to {MOST:,}; and of the others those dated today or yesterday."
    yield _gauge("payments", says, ("status",), [((status,), found.get(status, 0)) for status in PaymentStatus])


def _invoices() -> Iterator[GaugeMetricFamily]:
    overdue = OpenInvoiceTally.due_on < clock.today()
    tally = OpenInvoiceTally
    rows = db.session.execute(
        select(
            tally.currency,
            func.sum(tally.count).label("invoices"),
            func.sum(tally.open_minor).label("open_minor"),
            func.coalesce(func.sum(tally.count).filter(overdue), 0).label("overdue"),
            func.coalesce(func.sum(tally.open_minor).filter(overdue), 0).label("overdue_minor"),
        ).group_by(tally.currency)
    ).all()
    counts = [(("open",), sum(row.invoices for row in rows)), (("overdue",), sum(row.overdue for row in rows))]
    sums = [(("open",), row.open_minor, row.currency) for row in rows]
    sums += [(("overdue",), row.overdue_minor, row.currency) for row in rows]
    yield _gauge("invoices", "Invoices with money open on them.", ("state",), counts)
    yield _gauge("receivable", "Money open on invoices.", ("state", "currency"), _money(sums))


def _orders() -> Iterator[GaugeMetricFamily]:
    order = Disbursement
    rows = db.session.execute(
        select(order.kind, order.currency, func.count(), func.sum(order.amount_minor))
        .where(order.status.in_(OWED))
        .group_by(order.kind, order.currency)
    ).all()
    counts = {kind: sum(row[2] for row in rows if row[0] == kind) for kind in DisbursementKind}
    says = "Orders to pay money out that have not left."
    yield _gauge("orders", says, ("kind",), [((kind,), count) for kind, count in counts.items()])
    sums = _money(((kind,), minor, currency) for kind, currency, _, minor in rows)
    yield _gauge("payable", "Money that is to be paid out on claims and refunds.", ("kind", "currency"), sums)


def _workers() -> Iterator[GaugeMetricFamily]:
    alive = WorkerBeat.seen_at > clock.now() - timedelta(minutes=2)
    last, count = db.session.execute(select(func.max(WorkerBeat.seen_at), func.count().filter(alive))).one()
    yield _gauge("workers", "Workers that said within two minutes that they live.", (), [((), count)])
    age = [((), _age(last))] if last else []
    yield _gauge("worker_heartbeat_age_seconds", "Time since a worker last said that it lives.", (), age)


def _policies() -> Iterator[GaugeMetricFamily]:
    rows = db.session.execute(select(PolicyTally.status, PolicyTally.count)).all()
    yield _gauge("policies", "Policies and quotes by stored status.", ("status",), [((s,), count) for s, count in rows])
