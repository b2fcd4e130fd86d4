"""Records that nobody edits: the audit trail, the runs of jobs, and the products."""

import json

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from ...accounts.sign_in import fresh_download
from ...core import audit as trail
from ...core.audit import AuditEntry
from ...jobs import queries as jobs
from ...jobs import services as job_services
from ...jobs.models import JobRun
from ...products import queries as products
from ...web.arguments import find_id
from ...web.guard import requires
from ...web.pages import Choice, Col, ListPage
from .. import bp, queries

AUDIT = ListPage(
    title="Audit",
    one="entry",
    many="entries",
    key=AuditEntry.id,
    default_sort="-at",
    search_hint="Record or person",
    empty="Nothing has been done yet.",
    filters=[Choice("subject", "Kind of record", list(queries.SUBJECTS.items()))],
    columns=[
        Col("Record", lambda r: r.label, href=lambda r: url_for("admin.audit_entry", entry_id=r.id)),
        Col("Act", lambda r: queries.act(r.subject, r.action)),
        Col("Who", lambda r: r.actor_name),
        Col("When", lambda r: r.at, kind="datetime", sort=AuditEntry.at, sort_name="at"),
        Col("From", lambda r: r.address),
    ],
)


@bp.get("/audit")
@bp.get("/audit.csv", endpoint="audit_csv")
@requires("audit:read")
@fresh_download
def audit() -> ResponseReturnValue:
    """Everything that was done; with an id, what was done to that record, to which each record leads."""
    rows = queries.audit_rows(**AUDIT.arguments(), subject_id=find_id("id"))
    return AUDIT.respond(rows, template="admin/audit.html", one_record="id" in request.args)


@bp.post("/audit/check")
@requires("audit:read")
def check_trail() -> ResponseReturnValue:
    """Go through the chain, as `audit verify` does; a break is refused with its place."""
    end = job_services.check_trail()
    flash(f"The chain is whole: {end.count:,} entries. Its end is {end.hash[:16]}….", "ok")
    return redirect(url_for("admin.audit"), 303)


@bp.get("/audit/<int:entry_id>")
@requires("audit:read")
def audit_entry(entry_id: int) -> ResponseReturnValue:
    entry, who = queries.get_entry(entry_id)
    before, after = trail.opened(entry)
    changes = [(key.replace("_", " "), before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    return render_template(
        "admin/audit_entry.html",
        entry=entry,
        who=who,
        sealed=trail.is_sealed(entry),
        act=queries.act(entry.subject, entry.action),
        changes=changes,
    )


JOBS = ListPage(
    title="Jobs",
    one="run",
    many="runs",
    key=JobRun.id,
    default_sort="-started",
    empty="No job has run yet. The worker runs the nightly job once a day.",
    columns=[
        Col("Job", lambda r: r.name),
        Col("For", lambda r: r.for_day, kind="date"),
        Col("Started", lambda r: r.started_at, kind="datetime", sort=JobRun.started_at, sort_name="started"),
        Col("Finished", lambda r: r.finished_at, kind="datetime"),
        Col("Result", lambda r: r.result),
    ],
)
WORKER_SECONDS = 60
TASK_WORDS = {
    "night": "Beginning of a night",
    "chunk": "Parts of a night",
    "backup": "Backup",
    "mails": "Mails",
    "documents": "PDFs to archive",
    "gateway": "Payments to ask about",
    "take_over": "Taking over from dead workers",
    "forget": "Forgetting what failed long ago",
}


@bp.get("/jobs")
@bp.get("/jobs.csv", endpoint="job_csv")
@requires("job:read")
def job_list() -> ResponseReturnValue:
    queued = current_app.config["JOBS_ENGINE"] == "procrastinate"
    queue = {"tasks": jobs.queue(), "workers": jobs.workers(WORKER_SECONDS)} if queued else None
    return JOBS.respond(jobs.run_rows(), template="admin/jobs.html", queue=queue, task_words=TASK_WORDS)


@bp.get("/products")
@requires("product:read")
def product_list() -> ResponseReturnValue:
    return render_template("admin/products.html", products=products.versions())


@bp.get("/products/<int:version_id>")
@requires("product:read")
def product(version_id: int) -> ResponseReturnValue:
    version = products.get_version(version_id)
    return render_template(
        "admin/product.html",
        version=version,
        definition=version.definition,
        asked={question["code"]: question["label"] for question in version.definition["questions"]},
        source=json.dumps(version.definition, indent=2, ensure_ascii=False),
    )
