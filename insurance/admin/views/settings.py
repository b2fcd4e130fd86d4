"""What admins set: the company, the letters of numbers, the words of mails."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ...accounts.sign_in import fresh
from ...billing import queries as billing
from ...billing.domain import CollectionPlan, Ladder, masked
from ...core import clock, formats, numbering, settings
from ...core.errors import NotFound
from ...core.money import Money
from ...messages import queries as messages
from ...messages import rendering as message_rendering
from ...messages.domain import NOT_IN_SUBJECT, SAMPLES, check_text
from ...products import queries as products
from ...products.models import Product
from ...web.guard import requires
from .. import bp, forms, queries, services


@bp.get("/settings")
@requires("setting:edit")
def setting_list() -> ResponseReturnValue:
    return render_template(
        "admin/settings.html",
        series=numbering.SERIES,
        letters=numbering.letters(),
        ladder=billing.ladder(),
        own_ladders=len(settings.get_all("dunning ")),
        plan=billing.collection_plan(),
        bank=settings.get("bank"),
        locale=formats.LOCALES[formats.current()],
        account=masked(settings.get("bank").get("account_number", "")),
        mails=messages.TITLES,
        edited=_edited_mails(),
    )


@bp.get("/settings/company")
@bp.post("/settings/company")
@requires("setting:edit")
def edit_company() -> ResponseReturnValue:
    value, version = _setting("company", settings.company())
    form = forms.CompanyForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            services.change_company(
                version=form.version.data,
                name=form.name.data,
                phone=form.phone.data,
                address=form.address.data,
                actor=current_user,
            )
            flash("Saved. Pages, mails and new documents name the company so from now on.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_company.html")


@bp.get("/settings/formats")
@bp.post("/settings/formats")
@requires("setting:edit")
def edit_formats() -> ResponseReturnValue:
    value, version = _setting("formats", services.FORMATS)
    form = forms.FormatsForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            services.change_formats(version=form.version.data, locale=form.locale.data, actor=current_user)
            flash("Saved. Amounts, numbers and days are written so from now on.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_formats.html", examples=_examples())


def _examples() -> list[tuple[str, str, str, str]]:
    """Each locale with an amount and a day as it writes them."""
    sample = Money(123456789, current_app.config["CURRENCY"])
    return [
        (
            name,
            formats.money(sample.decimal, sample.currency, sample.digits, locale),
            formats.number(1234567, locale),
            formats.day(clock.today(), locale),
        )
        for locale, name in formats.LOCALES.items()
    ]


@bp.get("/settings/bank")
@bp.post("/settings/bank")
@requires("setting:edit")
@fresh
def edit_bank() -> ResponseReturnValue:
    value, version = _setting("bank", {})
    form = forms.BankForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            services.change_bank(
                version=form.version.data,
                name=form.name.data,
                account_number=form.account_number.data,
                bic=form.bic.data,
                creditor_id=form.creditor_id.data,
                actor=current_user,
            )
            flash("Saved. Files for the bank are drawn on this account from now on.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_bank.html")


@bp.get("/settings/numbering")
@bp.post("/settings/numbering")
@requires("setting:edit")
def edit_numbering() -> ResponseReturnValue:
    value, version = _setting("numbering", numbering.letters())
    form = forms.NumberingForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            letters = {series: form[series].data for series in numbering.SERIES}
            services.change_numbering(version=form.version.data, letters=letters, actor=current_user)
            flash("Saved. Numbers that are given out from now on begin so.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_numbering.html", series=numbering.SERIES)


@bp.get("/settings/dunning")
@bp.post("/settings/dunning")
@requires("setting:edit")
def edit_dunning() -> ResponseReturnValue:
    """The standard ladder, and which products have one of their own."""
    own = settings.get_all("dunning ")
    context = {"product": None, "products": [(product, product.code in own) for product in products.catalogue()]}
    return _ladder("dunning", Ladder(), services.change_dunning, context)


@bp.get("/settings/dunning/<code>")
@bp.post("/settings/dunning/<code>")
@requires("setting:edit")
def edit_product_dunning(code: str) -> ResponseReturnValue:
    """The ladder of one product, which begins as the standard one."""
    product = _product(code)
    change = partial(services.change_product_dunning, product=product)
    return _ladder(f"dunning {code}", billing.ladder(), change, {"product": product, "products": []})


def _ladder(name: str, standard: Ladder, change: Callable[..., None], context: dict[str, Any]) -> ResponseReturnValue:
    """Change a ladder: on the form the reminder counts days before, in the rule it is below 0."""
    steps, version = _setting(name, asdict(standard))
    form = forms.DunningForm(**{**steps, "reminder": -steps["reminder"]}, version=version)
    if form.validate_on_submit():
        with form.refusals():
            given = {step: form[step].data for step in steps}
            change(version=form.version.data, steps={**given, "reminder": -given["reminder"]}, actor=current_user)
            flash("Saved. Notices that are sent from now on go by these days.", "ok")
            return redirect(url_for("admin.edit_dunning"), 303)
    return form.page("admin/setting_dunning.html", own=bool(settings.get(name)), **context)


@bp.post("/settings/dunning/<code>/standard")
@requires("setting:edit")
def use_standard_dunning(code: str) -> ResponseReturnValue:
    services.use_standard_dunning(product=_product(code), actor=current_user)
    flash("Its notices go by the standard days again.", "ok")
    return redirect(url_for("admin.edit_dunning"), 303)


def _product(code: str) -> Product:
    product = next((product for product in products.catalogue() if product.code == code), None)
    if product is None:
        raise NotFound("We do not sell such a product.")
    return product


@bp.get("/settings/collection")
@bp.post("/settings/collection")
@requires("setting:edit")
def edit_collection() -> ResponseReturnValue:
    """When cards are charged and direct debits begun, and when both stop."""
    value, version = _setting("collection", asdict(CollectionPlan()))
    form = forms.CollectionForm(**value, version=version)
    if form.validate_on_submit():
        with form.refusals():
            services.change_collection(
                version=form.version.data,
                plan=CollectionPlan(form.autopay_days.data, form.lead_days.data, form.most_returns.data),
                actor=current_user,
            )
            flash("Saved. What falls due from now on is taken so.", "ok")
            return redirect(url_for("admin.setting_list"), 303)
    return form.page("admin/setting_collection.html")


@bp.get("/settings/mails")
@requires("setting:edit")
def mail_texts() -> ResponseReturnValue:
    return render_template("admin/setting_mails.html", mails=messages.TITLES, edited=_edited_mails())


def _edited_mails() -> set[str]:
    return {
        name.removeprefix("mail ")
        for name, setting in queries.settings().items()
        if setting.value and name.startswith("mail ")
    }


@bp.get("/settings/mails/<template>")
@bp.post("/settings/mails/<template>")
@requires("setting:edit")
def edit_mail(template: str) -> ResponseReturnValue:
    """The words of one mail, and how they read with sample data before they are saved."""
    title, standard = _mail_title(template), message_rendering.standard(template)
    words, version = _setting(f"mail {template}", standard)
    form = forms.MailForm(**words, version=version)
    edited = words != standard
    if form.validate_on_submit():
        words = {"subject": form.subject.data, "body": form.body.data}
        with form.refusals():
            if request.form.get("go") == "preview":
                check_text(template, **words)
            else:
                services.change_mail(template=template, version=form.version.data, **words, actor=current_user)
                flash(f"Saved. “{title}” says so from now on.", "ok")
                return redirect(url_for("admin.mail_texts"), 303)
    return form.page(
        "admin/setting_mail.html",
        mail_template=template,
        mail_title=title,
        samples=SAMPLES[template],
        not_in_subject=NOT_IN_SUBJECT,
        edited=edited,
        preview=None if form.errors else message_rendering.sample(template, **words),
    )


@bp.post("/settings/mails/<template>/standard")
@requires("setting:edit")
def use_standard_mail(template: str) -> ResponseReturnValue:
    title = _mail_title(template)
    services.use_standard_mail(template=template, actor=current_user)
    flash(f"“{title}” has its standard text again.", "ok")
    return redirect(url_for("admin.edit_mail", template=template), 303)


def _mail_title(template: str) -> str:
    if template not in messages.TITLES:
        raise NotFound("We cannot find that mail.")
    return messages.TITLES[template]


def _setting(name: str, standard: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What a form begins with: what is set and its version, or the standard."""
    setting = queries.settings().get(name)
    return (setting.value or standard, setting.version) if setting else (standard, 0)
