"""The whole business once through, in a real browser, with a real mail server: what the README promises."""

import re
from datetime import date
from email.message import EmailMessage
from io import BytesIO

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader

from insurance.accounts import passwords
from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.operations import verify
from tests import factories
from tests.browser.conftest import Mailbox, body, fill_date, photo, press, sees, sign_in

PASSWORD = "seven blue harbors"


def attached_text(mail: EmailMessage) -> str:
    """What the attached PDF says."""
    [attachment] = list(mail.iter_attachments())
    return " ".join(page.extract_text() for page in PdfReader(BytesIO(attachment.get_content())).pages)


def signed_in(browser: Browser, site: str, email: str) -> Page:
    return sign_in(browser.new_context().new_page(), site, email, PASSWORD)


def number_in(page: Page, pattern: str) -> str:
    """The number in the page's heading, once it is there."""
    expect(page.locator("h1")).to_contain_text(re.compile(pattern))
    found = re.search(pattern, page.locator("h1").inner_text())
    assert found
    return found[0]


@pytest.mark.sqlite_only
def test_a_customer_registers_buys_pays_and_claims_and_the_books_are_right(
    app: Flask, mailbox: Mailbox, site: str, browser: Browser
) -> None:
    staff_hash = passwords.hash_password(PASSWORD)
    agent = factories.user(Role.AGENT, email="agent@example.com", password_hash=staff_hash)
    factories.user(Role.ADMIN, email="admin@example.com", password_hash=staff_hash)
    factories.customer(agent=agent, name="Maria Lopez", email="maria@example.com")

    # The visitor registers and confirms the address from the mail: she is the customer whom the agent entered.
    page = browser.new_context().new_page()
    page.goto(f"{site}/register")
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
    customer = signed_in(browser, site, "maria@example.com")
    sees(customer, "Hello, Maria", "h1")

    # The agent quotes, sees the worksheet, and binds with monthly instalments.
    desk = signed_in(browser, site, "agent@example.com")
    desk.goto(f"{site}/policies/new?q=Maria")
    press(desk, "Choose")
    desk.fill("#policy_type", "comprehensive")
    desk.fill("#coverage_amount", "100,000.00")
    fill_date(desk, "start_date", date(2026, 6, 10))
    press(desk, "Show the price")
    sees(desk, "$2,400.00")
    press(desk, "Save quote")
    number_in(desk, r"POL-\d{4}-\d+")
    sees(desk, "Why this amount?")
    policy_url = desk.url
    press(desk, "Bind")
    desk.check("input[value=monthly]")
    press(desk, "Bind policy")
    sees(desk, "Policy", "h1")
    number = number_in(desk, r"POL-\d{4}-\d+")
    invoice_mail = mailbox.last_to("maria@example.com", "invoice")
    assert number in attached_text(invoice_mail)

    # The calendar alone decides the status; no job has run.
    for day, status in (
        (date(2026, 6, 9), "Pending"),
        (date(2026, 6, 10), "Active"),
        (date(2027, 6, 9), "Active"),
        (date(2027, 6, 10), "Expired"),
    ):
        app.config["BUSINESS_DATE"] = day
        desk = signed_in(browser, site, "agent@example.com")
        desk.goto(policy_url)
        sees(desk, status, "h1")
    app.config["BUSINESS_DATE"] = date(2026, 6, 20)

    # She pays the first invoice once, with two clicks; a second try says that it is paid.
    customer = signed_in(browser, site, "maria@example.com")
    press(customer, "Pay now")
    sees(customer, "Pay $200.00", "h1")
    pay_url = customer.url
    customer.get_by_role("button", name=re.compile("Pay .* now")).dblclick()
    press(customer, "Accept the card")
    sees(customer, "Thank you: $200.00 received", "h1")
    customer.goto(pay_url)
    sees(customer, "already paid")
    receipt = mailbox.last_to("maria@example.com", "receipt")
    for said in (number, "$200.00", "Card", "20 Jun 2026"):
        assert said in body(receipt)
        assert said in attached_text(receipt)

    # She files a claim with a photo; above the coverage it is refused in words.
    customer.goto(f"{site}/portal/claims/new/policy")
    customer.check("input[name=policy_id]")
    press(customer, "Continue")
    sees(customer, "When did it happen?", "h1")
    fill_date(customer, "loss_on", date(2026, 6, 18))
    customer.check("input[value=collision]")
    press(customer, "Save and continue")
    customer.fill("#description", "Rear-ended at the lights.")
    press(customer, "Save and continue")
    customer.fill("#claimed", "1,850.00")
    press(customer, "Save and continue")
    customer.set_input_files("#files", photo())
    press(customer, "Save and continue")
    sees(customer, "1 file")
    press(customer, "Send the claim")
    claim = number_in(customer, r"CLM-\d{4}-\d+")
    mailbox.last_to("maria@example.com", claim)

    # The agent decides; the payout is ordered with the approval; she sees it and is told.
    desk = signed_in(browser, site, "agent@example.com")
    desk.get_by_role("link", name=claim).first.click()
    press(desk, "Approve")
    desk.fill("#notes", "Covered in full.")
    press(desk, "Approve and order the payout")
    sees(desk, "Approved", "h1")
    assert "Covered in full." in body(mailbox.last_to("maria@example.com", claim))
    press(customer, "Follow your claim")
    customer.reload()
    sees(customer, "Approved")

    # The admin finds every record, and the books are right.
    office = signed_in(browser, site, "admin@example.com")
    for path, word in (
        ("/admin/users", "maria@example.com"),
        ("/customers?q=maria", "Maria Lopez"),
        (f"/policies?q={number}", number),
        ("/invoices?status=paid", "INV-2026-000001"),
        ("/payments", "RCT-2026-000001"),
        ("/claims", claim),
        ("/admin/outbox", "maria@example.com"),
        ("/admin/audit", number),
    ):
        office.goto(f"{site}{path}")
        sees(office, word)
    db.session.remove()
    app.config["BUSINESS_DATE"] = date(2026, 6, 1)
    assert [result.violations for result in verify.run() if result.violations] == []
