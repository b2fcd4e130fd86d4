"""Bank accounts and files for the bank are sealed; each customer whose data are gets a key of their own.

The release before cannot read what is sealed here: where it is still running, its files for the bank are refused by
their schema, so nothing is paid to a wrong account, and none can be made until it is replaced.
"""

import sqlalchemy as sa
from alembic import op

from insurance.core import encryption, person_keys
from migrations import frozen

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CHUNK = 1000
ORDER = (
    "kind", "customer_id", "account_id", "replaces_id", "payee_name", "account_number", "bic", "reason",
    "amount_minor", "currency", "limit_minor", "maker_id", "checker_id", "approved_at", "by_gateway",
)  # fmt: skip
SIGNED = ("number", "account_id", "holder_name", "account_number", "bic", "signed_on", "given_by_id", "created_at")
FROZEN = {"disbursements": (ORDER, "OLD.checker_id IS NOT NULL"), "mandates": (SIGNED, "OLD.id IS NOT NULL")}

disbursements = sa.table("disbursements", sa.column("id"), sa.column("customer_id"), sa.column("account_number"))
mandates = sa.table("mandates", sa.column("id"), sa.column("account_id"), sa.column("account_number"))
accounts = sa.table("billing_accounts", sa.column("id"), sa.column("customer_id"))
customers = sa.table("customers", sa.column("id"), sa.column("user_id"))
entries = sa.table("audit_entries", sa.column("subject"), sa.column("subject_id"))
keys = sa.table("person_keys", sa.column("customer_id"), sa.column("sealed"))
OWNED = (
    (disbursements, sa.select(disbursements)),
    (
        mandates,
        sa.select(mandates.c.id, accounts.c.customer_id, mandates.c.account_number).join_from(
            mandates, accounts, accounts.c.id == mandates.c.account_id
        ),
    ),
)
FILES = [sa.table(name, sa.column("id"), sa.column("content")) for name in ("bank_batches", "bank_statements")]


def upgrade():
    op.create_table(
        "person_keys",
        sa.Column("customer_id", ID, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_person_keys_customer_id")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_person_keys")),
    )
    _make_keys()
    _rewrite(
        person_keys.sealed_under,
        lambda content, place: encryption.seal_with(encryption.ring(), content, place).encode(),
        widened=True,
    )


def downgrade():
    _rewrite(
        person_keys.unseal,  # what was erased says so from now on
        lambda content, place: encryption.unseal_with(encryption.ring(), content.decode(), place),
        widened=False,
    )
    op.drop_table("person_keys")


def _make_keys():
    """A key for everybody of whom something is sealed, or was noted in the audit trail."""
    owners = sa.union(
        sa.select(disbursements.c.customer_id).where(disbursements.c.account_number != ""),
        sa.select(accounts.c.customer_id).join(mandates, mandates.c.account_id == accounts.c.id),
        sa.select(customers.c.id).join(
            entries, (entries.c.subject == "customers") & (entries.c.subject_id == customers.c.id)
        ),
    )
    bind = op.get_bind()
    ids = bind.scalars(owners).all()
    for start in range(0, len(ids), CHUNK):
        bind.execute(
            keys.insert(), [{"customer_id": id_, "sealed": person_keys.new()} for id_ in ids[start : start + CHUNK]]
        )


def _rewrite(change_text, change_file, *, widened):
    """Change every account and every file, some at once; what was frozen is frozen again."""
    for table, owned in OWNED:
        frozen.thaw(table.name)
        if widened:
            _set_length(table.name, 200)
        owned = owned.add_columns(keys.c.sealed).outerjoin(keys, keys.c.customer_id == owned.selected_columns.customer_id)
        owned = owned.where(table.c.account_number != "").order_by(table.c.id)
        place = f"{table.name}.account_number"
        for rows in _chunks(table, owned):
            changed = [{"key": row.id, "new": change_text(row.sealed, row.account_number, place)} for row in rows]
            op.get_bind().execute(
                table.update().where(table.c.id == sa.bindparam("key")).values(account_number=sa.bindparam("new")), changed
            )
        if not widened:
            _set_length(table.name, 34)
        frozen.freeze(table.name, *FROZEN[table.name])
    for table in FILES:
        for rows in _chunks(table, sa.select(table).order_by(table.c.id), most=20):  # a file may have megabytes
            changed = [{"key": row.id, "new": change_file(bytes(row.content), f"{table.name}.content")} for row in rows]
            op.get_bind().execute(
                table.update().where(table.c.id == sa.bindparam("key")).values(content=sa.bindparam("new")), changed
            )


def _set_length(table, length):
    if op.get_bind().dialect.name == "postgresql":  # SQLite minds no lengths
        op.alter_column(table, "account_number", type_=sa.String(length))  # safe: longer text alone rewrites nothing


def _chunks(table, statement, most=CHUNK):
    last = 0
    while rows := op.get_bind().execute(statement.where(table.c.id > last).limit(most)).all():
        yield rows
        last = rows[-1].id
