"""A registration's link carries the name and password chosen with it, and the browser that chose them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("links", sa.Column("name", sa.String(length=200), nullable=True))
    op.add_column("links", sa.Column("password_hash", sa.String(length=200), nullable=True))
    op.add_column("links", sa.Column("browser_hash", sa.String(length=64), nullable=True))


def downgrade():
    with op.batch_alter_table("links") as links:
        links.drop_column("browser_hash")
        links.drop_column("password_hash")
        links.drop_column("name")
