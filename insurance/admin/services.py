"""Changing what admins set: the company, the words of mails, and the letters of numbers."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..billing import queries as billing
from ..billing.domain import CollectionPlan, Ladder, check_account, check_creditor_id
from ..core import audit, clock, formats, numbering, settings
from ..core.db import INSERT, check_version, db, lock, transactional
from ..core.errors import RuleBroken
from ..core.permissions import Actor, check_may
from ..core.settings import Setting
from ..messages import queries as messages
from ..messages import rendering
from ..messages.domain import check_text
from ..products.models import Product

FORMATS = {"locale": formats.STANDARD}


def change_company(*, version: int, name: str, phone: str, address: str, actor: Actor) -> None:
    """Name the company anew. Documents that are issued already keep what they say."""
    value = {"name": name, "phone": phone, "address": address}
    _change("company", "Company", value, standard=settings.company(), version=version, actor=actor)


def change_formats(*, version: int, locale: str, actor: Actor) -> None:
    """Write amounts, numbers and days by another locale from now on; what is issued already keeps its own."""
    if locale not in formats.LOCALES:
        raise RuleBroken("Choose one of the locales of the list.", "locale")
    _change("formats", "Formats", {"locale": locale}, standard=FORMATS, version=version, actor=actor)


def change_bank(*, version: int, name: str, account_number: str, bic: str, creditor_id: str = "", actor: Actor) -> None:
    """Pay from another account and collect into it from now on, and take statements for its own."""
    account_number, bic = check_account(account_number, bic)
    value = {"name": name, "account_number": account_number, "bic": bic}
    if creditor_id:
        value["creditor_id"] = check_creditor_id(creditor_id)
    elif billing.is_any_mandate_in_force():
        raise RuleBroken("Mandates are in force, and nothing is collected without an identifier.", "creditor_id")
    _change("bank", "Bank account", value, standard={}, version=version, actor=actor)


def change_mail(*, template: str, version: int, subject: str, body: str, actor: Actor) -> None:
    """Give a mail other words, from the next one that is sent on."""
    check_text(template, subject=subject, body=body)
    _change_mail(template, {"subject": subject, "body": body}, version, actor)


def use_standard_mail(*, template: str, actor: Actor) -> None:
    """Let a mail say again what it came with."""
    _change_mail(template, {}, None, actor)


def _change_mail(template: str, words: dict[str, str], version: int | None, actor: Actor) -> None:
    label, standard = f"Mail: {messages.TITLES[template]}", rendering.standard(template)
    _change(f"mail {template}", label, words, standard=standard, version=version, actor=actor)


def change_numbering(*, version: int, letters: Mapping[str, str], actor: Actor) -> None:
    """Let numbers begin with other letters from now on. They are counted on as before, so none comes twice."""
    for series, chosen in letters.items():
        if not re.fullmatch("[A-Z]{3}", chosen):
            raise RuleBroken("Enter three capital letters from A to Z.", series)
        if list(letters.values()).count(chosen) > 1:
            raise RuleBroken(f"{chosen} stands twice. Each kind of number needs letters of its own.", series)
    _change("numbering", "Numbering", dict(letters), standard=numbering.letters(), version=version, actor=actor)


def change_dunning(*, version: int, steps: Mapping[str, int], actor: Actor) -> None:
    """Let notices about unpaid invoices have other days; `reminder` counts from before the due day, below 0."""
    Ladder(**steps)
    _change("dunning", "Dunning", dict(steps), standard=asdict(Ladder()), version=version, actor=actor)


def change_product_dunning(*, product: Product, version: int, steps: Mapping[str, int], actor: Actor) -> None:
    """Let notices about a product's unpaid invoices have days of their own."""
    Ladder(**steps)
    _change_product_dunning(product, dict(steps), version, actor)


def use_standard_dunning(*, product: Product, actor: Actor) -> None:
    """Let notices about a product's unpaid invoices go by the standard days again."""
    _change_product_dunning(product, {}, None, actor)


def _change_product_dunning(product: Product, steps: dict[str, int], version: int | None, actor: Actor) -> None:
    name, label, standard = f"dunning {product.code}", f"Dunning: {product.name}", asdict(billing.ladder())
    _change(name, label, steps, standard=standard, version=version, actor=actor)


def change_collection(*, version: int, plan: CollectionPlan, actor: Actor) -> None:
    """Let autopay and direct debit go by other days, and another number of returns end a mandate."""
    value = {**asdict(plan), "autopay_days": list(plan.autopay_days)}
    _change("collection", "Collection", value, standard=asdict(CollectionPlan()), version=version, actor=actor)


def _change(
    name: str, label: str, value: dict[str, Any], *, standard: dict[str, Any], version: int | None, actor: Actor
) -> None:
    """Set a value; an empty one lets the standard hold again."""
    _set(name, label, value, standard, version, actor)
    settings.forget()  # not before the commit: until then the old value would be read again


@transactional
def _set(
    name: str, label: str, value: dict[str, Any], standard: dict[str, Any], version: int | None, actor: Actor
) -> None:
    check_may(actor, "setting:edit")
    now = clock.now()
    new: Any = INSERT[db.engine.dialect.name](Setting).values(name=name, value={}, version=0, changed_at=now)
    db.session.execute(new.on_conflict_do_nothing(index_elements=["name"]))  # so that there is a row to lock
    setting = lock(Setting, name)
    check_version(setting, version)
    before, setting.value = setting.value or standard, value
    setting.version += 1
    setting.changed_at, setting.changed_by_id = now, actor.id
    audit.record("change", setting, label=label, actor=actor, before=before, **(value or standard))
