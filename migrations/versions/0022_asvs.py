"""The mails that visitors ask for are counted, so that nobody has many sent."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade():
    op.create_table(
        "mail_requests",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("address", sa.String(60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_requests")),
    )
    for columns in (["email", "at"], ["address", "at"], ["at"]):
        op.create_index(op.f(f"ix_mail_requests_{'_'.join(columns)}"), "mail_requests", columns)


def downgrade():
    op.drop_table("mail_requests")
