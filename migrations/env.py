"""How migrations run: one transaction for all, foreign keys checked at the end."""

from alembic import context
from flask import current_app

db = current_app.extensions["migrate"].db

with db.engine.execution_options(writes=True).connect() as connection:
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:  # before the transaction begins: batch mode re-creates tables, which would delete child rows
        connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=OFF")
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        transactional_ddl=True,
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        if not sqlite:  # whoever waits for a table makes everybody queue behind: rather give up, and be run again
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        context.run_migrations()
        if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
            raise RuntimeError(f"foreign keys broken: {broken}")
    if sqlite:
        connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=ON")
