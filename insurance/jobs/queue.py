"""The worker on PostgreSQL for many machines: procrastinate hands out what is due, and hands it on if a worker dies.

A task only calls the service that does the work. Nothing but this module knows procrastinate.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from flask import Flask
from procrastinate import App, Blueprint, JobContext, PsycopgConnector, RetryStrategy, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

from ..core import clock
from ..core.db import db
from ..documents import services as documents
from ..messages import services as messages
from ..payments.services import gateway
from . import services, sharing

EVERY_HOUR = "0 * * * *"
EVERY_MINUTE = "* * * * *"
EVERY_FEW_SECONDS = "* * * * * */5"
AT_ONCE = 4
"""How many tasks a worker has in hand."""
HEARTBEAT_SECONDS, DEAD_AFTER_SECONDS = 3, 15
TRIES = 10
KEEP_HOURS = 7 * 24
AGAIN = RetryStrategy(max_attempts=TRIES, wait=10, linear_wait=60)
PAUSE_SECONDS = 5
"""Between two tries to reach the database."""
NAMESPACE = "insurance"

tasks = Blueprint()
putting_in = App(connector=SyncPsycopgConnector())
"""Never opened: it puts tasks in on the session's own connection, as part of the transaction in hand."""


def share(chunk_ids: Sequence[int]) -> None:
    """Put chunks of a night before the workers, within the transaction in hand."""
    connection = db.session.connection().connection.dbapi_connection
    task = putting_in.configure_task(f"{NAMESPACE}:chunk", queue="night", connection=connection)
    chunks: list[dict[str, Any]] = [{"chunk_id": chunk_id} for chunk_id in chunk_ids]
    task.batch_defer(*chunks)


# Tasks. A queueing lock keeps a periodic task from waiting twice, a lock from running twice.


@tasks.task(name="chunk", queue="night", retry=AGAIN)
def do_chunk(*, chunk_id: int) -> None:
    """Do a chunk of a night."""
    sharing.do(chunk_id, share)


@tasks.periodic(cron=EVERY_MINUTE)
@tasks.task(name="night", queueing_lock="night", lock="night", priority=1)
def begin_night(timestamp: int) -> None:  # noqa: ARG001
    """Begin the night of a new day."""
    sharing.begin(clock.today(), share)


@tasks.periodic(cron=EVERY_MINUTE)
@tasks.task(name="backup", queueing_lock="backup", lock="backup", pass_context=True)
def back_up(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Make the day's backup."""
    services.run_backup(clock.today(), context.additional_context["back_up"])


@tasks.periodic(cron=EVERY_FEW_SECONDS)
@tasks.task(name="mails", queueing_lock="mails", priority=1)
def deliver_mails(timestamp: int) -> None:  # noqa: ARG001
    """Deliver mails that are due; while one machine is at it another begins with the next ones."""
    messages.deliver_due(limit=100)


@tasks.periodic(cron=EVERY_FEW_SECONDS)
@tasks.task(name="documents", queueing_lock="documents", lock="documents", priority=1)
def archive_documents(timestamp: int) -> None:  # noqa: ARG001
    """Archive the PDFs of documents that have none."""
    documents.archive_due(limit=200)


@tasks.periodic(cron=EVERY_FEW_SECONDS)
@tasks.task(name="gateway", queueing_lock="gateway", lock="gateway", priority=1)
def ask_gateway(timestamp: int) -> None:  # noqa: ARG001
    """Ask the gateway about payments that have been open for long."""
    gateway.ask_gateway()


@tasks.periodic(cron=EVERY_FEW_SECONDS)
@tasks.task(name="take_over", queueing_lock="take_over", pass_context=True, priority=2)
async def take_over(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Hand on what dead workers had in hand. It has no lock: the one who died may have been at this."""
    queue = context.app.job_manager
    for job in await queue.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
        try:
            if job.attempts < TRIES:
                await queue.retry_job(job)
            else:  # it may be what kills them
                await queue.finish_job(job, Status.FAILED, delete_job=False)
        except ConnectorException:  # another worker was faster
            continue


@tasks.periodic(cron=EVERY_HOUR)
@tasks.task(name="forget", queueing_lock="forget", pass_context=True)
async def forget(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Forget what failed long ago; what went well is forgotten at once."""
    await context.app.job_manager.delete_old_jobs(nb_hours=KEEP_HOURS, include_failed=True, include_aborted=True)


# The worker


def work(app: Flask, back_up: Callable[[], str | None]) -> None:
    """Work until SIGTERM or Ctrl-C. What is in hand is finished first."""

    def within_app(do: Callable[[], Any], _context: JobContext, _worker: Any) -> Any:
        with app.app_context():
            return do()

    asyncio.run(_work(app, task_middleware=[within_app], additional_context={"back_up": back_up}))


async def _work(app: Flask, **options: Any) -> None:
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    with app.app_context():
        url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connector = PsycopgConnector(conninfo=url, min_size=1, max_size=AT_ONCE, kwargs={"prepare_threshold": None})
    queue = App(connector=connector)
    queue.add_tasks_from(tasks, namespace=NAMESPACE)
    while not stopped.is_set():
        try:
            await _until(stopped, queue, options)
        except (ConnectorException, psycopg.Error):
            app.logger.exception("worker: the database does not answer")
        if not stopped.is_set():
            await asyncio.wait([asyncio.create_task(stopped.wait())], timeout=PAUSE_SECONDS)


async def _until(stopped: asyncio.Event, queue: App, options: dict[str, Any]) -> None:
    """Work until told to stop, or until the database goes away."""
    async with queue.open_async():
        worker = asyncio.create_task(
            queue.run_worker_async(
                concurrency=AT_ONCE,
                listen_notify=False,  # a pooler of transactions passes no notices on
                fetch_job_polling_interval=1,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=DEAD_AFTER_SECONDS,
                delete_jobs="successful",
                install_signal_handlers=False,
                **options,
            )
        )
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait([worker, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        worker.cancel()  # which lets it finish what it has in hand
        try:
            await worker
        except asyncio.CancelledError:
            return
