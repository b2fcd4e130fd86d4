"""What hangs on the keys of the ring ENCRYPTION_KEYS, and sealing it anew under the newest."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    LargeBinary,
    Text,
    cast,
    func,
    inspect,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from ..accounts.models import AuthenticatorApp, KeptForm, RecoveryCode
from ..core.db import db, transaction
from ..core.encryption import Sealed, reseal, ring
from ..core.person_keys import PURPOSE, PersonKey
from ..payments.bank.models import BankBatch, BankStatement


@dataclass(frozen=True)
class Kept:
    """A column of texts that each begin with the name of the key that sealed them.

    `purpose` is for what a row of this id is sealed; None where it is a fingerprint, whose text nobody knows.
    """

    what: str
    column: Any
    id: Any
    purpose: Callable[[Any], str] | None
    most: int = 500

    @property
    def is_file(self) -> bool:
        """Whether it is bytes."""
        return isinstance(self.column.type, Sealed)

    @property
    def raw(self) -> ColumnElement[Any]:
        """The column as it is stored."""
        if isinstance(self.column.type, JSON):
            return func.trim(cast(self.column, Text), '"')
        return type_coerce(self.column, LargeBinary() if self.is_file else Text())

    def under(self, key_id: str) -> ColumnElement[bool]:
        """The condition that a row hangs on a key."""
        name = f"{key_id}:"
        start: Any = literal(name.encode(), LargeBinary()) if self.is_file else name
        return func.substr(self.raw, 1, len(name)) == start


KEPT = (
    Kept("customers' keys", PersonKey.sealed, PersonKey.customer_id, lambda _: PURPOSE),
    Kept("authenticator apps", AuthenticatorApp.secret, AuthenticatorApp.user_id, AuthenticatorApp.purpose),
    Kept("kept forms", KeptForm.sealed, KeptForm.user_id, KeptForm.purpose),
    Kept("files for the bank", BankBatch.content, BankBatch.id, lambda _: "bank_batches.content", most=20),
    Kept("statements", BankStatement.content, BankStatement.id, lambda _: "bank_statements.content", most=20),
    Kept("recovery codes", RecoveryCode.fingerprint, RecoveryCode.id, None),
)
"""All that hangs on the ring. What hangs on a customer's key, hangs on the ring by that."""


def counts() -> dict[str, Counter[str]]:
    """By key, how many rows of each kind hang on it; also by keys that are missing."""
    found: dict[str, Counter[str]] = {key_id: Counter() for key_id in ring()}
    for kept in KEPT:
        known = list(ring())
        for key_id in known:
            found.setdefault(key_id, Counter())[kept.what] = _count(kept, kept.under(key_id))
            if key_id == known[-1] and (other := _other(kept, known)):
                known.append(other)
    return found


def missing() -> dict[str, int]:
    """The keys that rows hang on and that are not in the ring, with the number of these rows."""
    return {key_id: kinds.total() for key_id, kinds in counts().items() if key_id not in ring()}


def rotate() -> Counter[str]:
    """Seal everything anew that hangs on an older key than the first; how much of each kind.

    Broken off, it goes on where it was. Each piece is a transaction of its own, which locks the rows that it changes.
    """
    done: Counter[str] = Counter()
    for kept in KEPT if len(ring()) > 1 else ():
        while kept.purpose and (changed := _rotate_some(kept)):
            done[kept.what] += changed
    return done


def _rotate_some(kept: Kept) -> int:
    assert kept.purpose
    older = or_(*(kept.under(key_id) for key_id in list(ring())[1:]))
    key = inspect(kept.column.class_).primary_key[0]
    with transaction() as session:
        found = select(key, kept.id.label("owner"), kept.raw.label("sealed")).where(older).limit(kept.most)
        rows = session.execute(found.with_for_update()).all()
        for row in rows:
            sealed = bytes(row.sealed).decode() if kept.is_file else row.sealed
            anew = reseal(sealed, kept.purpose(row.owner))
            value = literal(anew.encode(), LargeBinary()) if kept.is_file else anew
            session.execute(update(kept.column.class_).where(key == row[0]).values({kept.column: value}))
    return len(rows)


def _count(kept: Kept, condition: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(kept.column.class_).where(condition)) or 0


def _other(kept: Kept, known: list[str]) -> str | None:
    """A key that some row hangs on, other than the known ones."""
    row = db.session.scalar(select(kept.raw).where(~or_(*(kept.under(key_id) for key_id in known))).limit(1))
    if row is None:
        return None
    return (bytes(row).decode() if kept.is_file else row).partition(":")[0]
