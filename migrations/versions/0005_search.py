"""Customers are found by the beginnings of words; lists and sums at size have their indexes."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = [
    ("outbox", ["created_at", "id"]),
    ("outbox", ["status", "id"]),
    ("payments", ["amount_minor", "id"]),
    ("claims", ["claimed_minor", "id"]),
    ("invoices", ["total_minor", "id"]),
]
WITH_USER = sa.text("user_id IS NOT NULL")


def upgrade():
    words = op.create_table(
        "customer_words",
        sa.Column("word", sa.String(254).with_variant(sa.String(254, collation="C"), "postgresql"), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_words_customer_id")
        ),
        sa.PrimaryKeyConstraint("word", "customer_id", name=op.f("pk_customer_words")),
    )
    op.create_index(op.f("ix_customer_words_customer_id"), "customer_words", ["customer_id"])
    customers = sa.table("customers", sa.column("id"), sa.column("name"), sa.column("email"))
    rows = [
        {"word": word, "customer_id": customer.id}
        for customer in op.get_bind().execute(sa.select(customers))
        for word in {*_plain(customer.name).split(), *_plain(customer.email).split()}
    ]
    if rows:
        op.bulk_insert(words, rows)
    for table, columns in INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    # Most customers have no user: a plain unique index looks useless to the database's planner.
    with op.batch_alter_table("customers") as batch:
        batch.drop_constraint(op.f("uq_customers_user_id"), type_="unique")
    op.create_index(
        op.f("ix_customers_user_id"),
        "customers",
        ["user_id"],
        unique=True,
        sqlite_where=WITH_USER,
        postgresql_where=WITH_USER,
    )


def downgrade():
    op.drop_index(op.f("ix_customers_user_id"), "customers")
    with op.batch_alter_table("customers") as batch:
        batch.create_unique_constraint(op.f("uq_customers_user_id"), ["user_id"])
    for table, columns in reversed(INDEXES):
        op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table)
    op.drop_table("customer_words")


def _plain(name):
    """Names as the application looked for them when this was written."""
    return "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char)).casefold()
