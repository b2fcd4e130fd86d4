"""What several machines need: the chunks of a night that workers share, and on PostgreSQL the queue they take them from.

The queue's tables are procrastinate's own, made by the schema that comes with the pinned package. A later release brings
migrations of its own: docs/scaling.md says how they come here.
"""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NO_QUEUE = """
DO $$ DECLARE made record; BEGIN
    DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE;
    FOR made IN SELECT oid::regprocedure AS name FROM pg_proc WHERE proname LIKE 'procrastinate\\_%' LOOP
        EXECUTE 'DROP FUNCTION ' || made.name;
    END LOOP;
    DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_event_type, procrastinate_job_status;
END $$
"""


def upgrade():
    op.create_table(
        "night_chunks",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("step", sa.String(20), nullable=False),
        sa.Column("ids", sa.JSON(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["job_runs.id"], name=op.f("fk_night_chunks_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_night_chunks")),
    )
    op.create_index(op.f("ix_night_chunks_run_id_step"), "night_chunks", ["run_id", "step"])
    _execute(SchemaManager.get_schema())


def downgrade():
    _execute(NO_QUEUE)
    op.drop_table("night_chunks")


def _execute(script):
    """Run a script of many statements on PostgreSQL; its percent signs are none of the driver's business."""
    if op.get_bind().dialect.name == "postgresql":
        op.get_bind().connection.dbapi_connection.execute(script)
