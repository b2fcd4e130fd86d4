"""The main story without a mouse, on a phone's width: every control is reached by Tab, seen, and not covered."""

import re

import pytest
from flask import Flask
from playwright.sync_api import Browser, Locator, Page, expect

from insurance.accounts import passwords
from insurance.claims.domain import ClaimStatus
from insurance.claims.models import Claim
from insurance.core.db import db
from insurance.core.permissions import Role
from insurance.payments.domain import PaymentStatus
from insurance.payments.models import Payment
from tests import factories
from tests.browser.conftest import photo, sees

PASSWORD = "seven blue harbors"
MOST_TABS = 45
"""How often one has to press Tab, at most, to get to a control."""
LOOK_AT_FOCUS = """
wanted => {
    const here = document.activeElement;
    const style = getComputedStyle(here);
    const box = here.getClientRects()[0] || here.getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return {
        name: `<${here.localName}> ${here.innerText || here.name || here.id}`,
        arrived: here === wanted,
        nothing: here === document.body || here === document.documentElement,
        visible: box.width > 0 && box.height > 0 && here.checkVisibility({ opacityProperty: true }),
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && style.boxShadow !== "none",
        covered: here.contains(top) ? "" : `${top && top.outerHTML.slice(0, 120)}`,
    };
}
"""


@pytest.mark.sqlite_only
def test_the_whole_business_can_be_done_with_the_keyboard_on_a_phone(app: Flask, site: str, browser: Browser) -> None:
    known = passwords.hash_password(PASSWORD)
    agent = factories.user(Role.AGENT, email="agent@example.com", password_hash=known)
    maria = factories.user(Role.CUSTOMER, email="maria@example.com", name="Maria Lopez", password_hash=known)
    factories.customer(agent=agent, user=maria, name="Maria Lopez", email="maria@example.com")

    # The agent opens the menu and closes it, finds the customer, quotes and binds.
    desk = sign_in(browser, site, "agent@example.com")
    menu = tab_to(desk, "button", "Menu")
    desk.keyboard.press("Enter")
    expect(desk.locator("#menu")).to_be_visible()
    tab_to(desk, "link", "Customers")
    desk.keyboard.press("Escape")
    expect(desk.locator("#menu")).to_be_hidden()
    expect(menu).to_be_focused()
    desk.keyboard.press("Enter")
    choose(desk, "link", "Customers")
    sees(desk, "Customers", "h1")
    type_into(desk, "Search customers, policies, claims and invoices", "Maria")
    desk.keyboard.press("Enter")
    sees(desk, "Maria Lopez", "h1")
    tab_to(desk, "link", "Change")
    desk.keyboard.press("Shift+Tab")
    assert look_at_focus(desk, desk.locator("main").get_by_role("link", name="New quote"))
    desk.keyboard.press("Enter")
    type_into(desk, "Type of policy", "comprehensive")
    type_into(desk, "Coverage amount", "a lot")
    choose(desk, "button", "Show the price")
    summary = desk.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    choose(desk, "link", "coverage amount", within=summary)
    expect(desk.get_by_label("Coverage amount")).to_be_focused()
    desk.keyboard.press("Control+A")
    desk.keyboard.type("100,000.00")
    choose(desk, "button", "Show the price")
    sees(desk, "$2,400.00")
    choose(desk, "button", "Save quote")
    sees(desk, "Quote", "h1")
    choose(desk, "link", "Bind")
    sees(desk, "Bind", "h1")
    pick(desk, "Once a year", "Every month")
    choose(desk, "button", "Bind policy")
    sees(desk, "Policy", "h1")

    # The customer pays the first instalment by card.
    customer = sign_in(browser, site, "maria@example.com")
    customer.keyboard.press("Tab")
    assert look_at_focus(customer, customer.get_by_role("link", name="Skip to main content"))
    customer.keyboard.press("Enter")
    expect(customer.locator("main")).to_be_focused()
    choose(customer, "link", "Pay now")
    sees(customer, "Pay $200.00", "h1")
    choose(customer, "button", "Pay $200.00 now", key="Space")
    choose(customer, "button", "Accept the card")
    sees(customer, "Thank you: $200.00 received", "h1")
    db.session.remove()
    [payment] = db.session.query(Payment)
    assert payment.status is PaymentStatus.PROCESSED

    # She files a claim, step by step.
    choose(customer, "link", "Home")
    sees(customer, "Hello, Maria", "h1")
    choose(customer, "link", "Report a claim")
    sees(customer, "Which policy is it about?", "h1")
    tab_to(customer, "radio", "POL-")
    customer.keyboard.press("Space")
    choose(customer, "button", "Continue")
    sees(customer, "When did it happen?", "h1")
    for part, number in (("Day", "1"), ("Month", "6"), ("Year", "2026")):
        type_into(customer, part, number)
    tab_to(customer, "radio", "Collision")
    customer.keyboard.press("Space")
    choose(customer, "button", "Save and continue")
    sees(customer, "What happened?", "h1")
    type_into(customer, "Tell us what happened, in your own words", "Rear-ended at the lights.")
    choose(customer, "button", "Save and continue")
    sees(customer, "What does it cost?", "h1")
    type_into(customer, "How much do you claim?", "1,850.00")
    choose(customer, "button", "Save and continue")
    sees(customer, "Photos and documents", "h1")
    customer.set_input_files("#files", photo())
    choose(customer, "button", "Save and continue")
    sees(customer, "1 file")
    choose(customer, "button", "Send the claim")
    sees(customer, "CLM-", "h1")

    # The agent reviews and approves it.
    desk.goto(f"{site}/agent")
    choose(desk, "link", "CLM-", within=desk.locator("main"))
    sees(desk, "CLM-", "h1")
    choose(desk, "button", "Take it")
    choose(desk, "link", "Approve")
    sees(desk, "Approve claim", "h1")
    type_into(desk, "Reason", "Covered in full.")
    choose(desk, "button", "Approve and order the payout")
    sees(desk, "Approved", "h1")
    db.session.remove()
    [claim] = db.session.query(Claim)
    assert claim.status is ClaimStatus.APPROVED


def sign_in(browser: Browser, site: str, email: str) -> Page:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(5_000)
    page.goto(f"{site}/login")
    type_into(page, "Email address", email)
    type_into(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("/login"))
    return page


def look_at_focus(page: Page, wanted: Locator) -> bool:
    """Whether the wanted control has the focus; whatever has it must be seen to have it."""
    seen = page.evaluate(LOOK_AT_FOCUS, wanted.first.element_handle())
    assert not seen["nothing"], f"Tab left {page.url} before it came to {wanted}"
    assert seen["visible"], f"{seen['name']} on {page.url} has the focus and cannot be seen"
    assert seen["outlined"], f"{seen['name']} on {page.url} does not show that it has the focus"
    assert not seen["covered"], f"{seen['name']} on {page.url} is covered by {seen['covered']}"
    return seen["arrived"]


def tab_to(page: Page, role: str, name: str, within: Locator | None = None) -> Locator:
    """Press Tab until the control has the focus."""
    wanted = (within or page).get_by_role(role, name=name).first
    wanted.wait_for()
    page.wait_for_load_state()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if look_at_focus(page, wanted):
            return wanted
    raise AssertionError(f"{MOST_TABS} tabs on {page.url} do not lead to the {role} {name}")


def choose(page: Page, role: str, name: str, *, key: str = "Enter", within: Locator | None = None) -> None:
    """Tab to a button or link and press it."""
    tab_to(page, role, name, within)
    page.keyboard.press(key)


def type_into(page: Page, label: str, words: str) -> None:
    """Tab to a field and type."""
    role = "searchbox" if label.startswith("Search") else "textbox"
    tab_to(page, role, label)
    page.keyboard.type(words)


def pick(page: Page, chosen: str, wanted: str) -> None:
    """Tab to the chosen radio button and move down to the wanted one."""
    tab_to(page, "radio", chosen)
    target = page.get_by_role("radio", name=wanted)
    for _ in range(MOST_TABS):
        page.keyboard.press("ArrowDown")
        if look_at_focus(page, target):
            break
    expect(target).to_be_checked()
