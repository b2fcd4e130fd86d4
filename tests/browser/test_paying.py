"""Paying is done once, whatever is pressed twice; and the whole portal works without JavaScript."""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import func, select

from insurance.accounts import passwords
from insurance.billing.domain import InvoiceStatus, PaymentPlan
from insurance.billing.models import Invoice
from insurance.claims.domain import ClaimStatus
from insurance.claims.models import Attachment, Claim
from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.customers.models import Customer
from insurance.payments.domain import PaymentStatus
from insurance.payments.models import Allocation, Payment, Receipt
from tests import factories
from tests.browser.conftest import Mailbox, body, fill_date, photo, press, sees, sign_in

PASSWORD, NEXT_PASSWORD = "seven blue harbors", "nine green lanterns"


@pytest.fixture
def invoice_id(app: Flask) -> int:
    """Maria's first instalment of 200 dollars."""
    known = passwords.hash_password(PASSWORD)
    maria = factories.user(Role.CUSTOMER, email="maria@example.com", password_hash=known)
    customer = factories.customer(user=maria, email="maria@example.com")
    policy = factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer)
    return factories.first_invoice(policy).id


@pytest.fixture
def maria(invoice_id: int, site: str, browser: Browser) -> Iterator[BrowserContext]:
    """Her browser, signed in."""
    context = browser.new_context(base_url=site)
    sign_in(context.new_page(), site, "maria@example.com", PASSWORD)
    yield context
    context.close()


def begin(context: BrowserContext, invoice_id: int) -> Page:
    """A tab at the gateway, about to pay."""
    page = context.new_page()
    page.goto(f"/portal/pay/{invoice_id}")
    press(page, "now")
    expect(page).to_have_url(re.compile("/test-gateway/"))
    return page


def check_paid_once(invoice_id: int) -> None:
    """One payment went through, with one receipt, and it is all that the invoice got."""
    db.session.remove()
    invoice = db.session.get_one(Invoice, invoice_id)
    assert invoice.status is InvoiceStatus.PAID
    assert invoice.paid == invoice.total
    [payment] = db.session.scalars(select(Payment).where(Payment.status == PaymentStatus.PROCESSED))
    [receipt] = db.session.scalars(select(Receipt))
    [allocation] = db.session.scalars(select(Allocation))
    assert payment.amount == invoice.total == allocation.amount
    assert receipt.payment_id == allocation.payment_id == payment.id


def test_a_double_click_on_each_button_charges_once(maria: BrowserContext, invoice_id: int) -> None:
    page = maria.new_page()
    page.goto(f"/portal/pay/{invoice_id}")
    page.get_by_role("button", name="now").dblclick()
    expect(page).to_have_url(re.compile("/test-gateway/"))
    db.session.remove()
    assert db.session.scalar(select(func.count(Payment.id))) == 1
    page.get_by_role("button", name="Accept the card").dblclick()
    sees(page, "Thank you", "h1")
    check_paid_once(invoice_id)


def test_going_back_and_paying_again_charges_once(maria: BrowserContext, invoice_id: int) -> None:
    page = begin(maria, invoice_id)
    gateway = page.url
    page.go_back()
    press(page, "now")
    expect(page).to_have_url(gateway)  # the same form, so the same payment
    press(page, "Accept the card")
    sees(page, "Thank you", "h1")
    result = page.url
    page.go_back()
    press(page, "See how it came out")
    expect(page).to_have_url(result)
    page.goto(f"/portal/pay/{invoice_id}")
    sees(page, "already paid")
    check_paid_once(invoice_id)


def test_reloading_the_gateway_and_the_result_charges_once(maria: BrowserContext, invoice_id: int) -> None:
    page = begin(maria, invoice_id)
    page.reload()
    press(page, "Accept the card")
    sees(page, "Thank you", "h1")
    page.reload()
    sees(page, "Thank you", "h1")
    check_paid_once(invoice_id)


def test_two_tabs_that_pay_one_invoice_charge_once(maria: BrowserContext, invoice_id: int) -> None:
    first, second = begin(maria, invoice_id), begin(maria, invoice_id)
    for tab in (first, second):
        press(tab, "Accept the card")
        sees(tab, "Thank you", "h1")
    check_paid_once(invoice_id)


@pytest.mark.sqlite_only
def test_without_javascript_a_customer_registers_pays_claims_and_keeps_the_account(
    app: Flask, mailbox: Mailbox, site: str, browser: Browser
) -> None:
    customer = factories.customer(name="Maria Lopez", email="maria@example.com")
    invoice_id = factories.first_invoice(factories.bound_policy(plan=PaymentPlan.MONTHLY, customer=customer)).id
    page = browser.new_context(base_url=site, java_script_enabled=False).new_page()

    page.goto("/register")
    page.fill("#name", "Maria Lopez")
    page.fill("#email", "maria@example.com")
    page.fill("#password", PASSWORD)
    press(page, "Create account")
    sees(page, "Check your mail", "h1")
    link = re.search(r"http://\S+/confirm/\S+", body(mailbox.last_to("maria@example.com", "confirm")))
    assert link
    page.goto(link[0])
    press(page, "Confirm this address")
    sees(page, "Sign in", "h1")
    sign_in(page, site, "maria@example.com", PASSWORD)

    page.goto(f"/portal/pay/{invoice_id}")
    press(page, "now")
    press(page, "Accept the card")
    sees(page, "Thank you", "h1")
    check_paid_once(invoice_id)

    page.goto("/portal/claims/new/policy")
    page.check("input[name=policy_id]")
    press(page, "Continue")
    fill_date(page, "loss_on", date(2026, 6, 1))
    page.check("input[value=collision]")
    press(page, "Save and continue")
    page.fill("#description", "Rear-ended at the lights.")
    press(page, "Save and continue")
    page.fill("#claimed", "1,850.00")
    press(page, "Save and continue")
    page.set_input_files("#files", photo())
    press(page, "Save and continue")
    press(page, "Send the claim")
    sees(page, "CLM-", "h1")
    db.session.remove()
    [claim] = db.session.scalars(select(Claim))
    [picture] = db.session.scalars(select(Attachment))
    assert (claim.status, picture.claim_id) == (ClaimStatus.PENDING, claim.id)

    page.goto("/portal/profile")
    page.fill("#phone", "+1 555 010 0199")
    page.fill("#address", "12 Quay Street\nHarbor Town")
    press(page, "Save")
    sees(page, "12 Quay Street")
    db.session.remove()
    assert db.session.scalars(select(Customer.address)).one().split() == ["12", "Quay", "Street", "Harbor", "Town"]

    page.goto("/account/password")
    page.fill("#old_password", PASSWORD)
    page.fill("#password", NEXT_PASSWORD)
    press(page, "Change password")
    sees(page, "Your password is changed")

    elsewhere = browser.new_context(base_url=site, java_script_enabled=False).new_page()
    sign_in(elsewhere, site, "maria@example.com", NEXT_PASSWORD)
    page.goto("/account")
    page.locator("main").get_by_role("button", name="Sign out").click()
    sees(page, "That browser is signed out.")
    elsewhere.goto("/portal")
    sees(elsewhere, "Sign in", "h1")
    page.goto("/portal")
    sees(page, "Hello, Maria", "h1")
