"""How values look on pages. What is missing is a dash; nothing prints as "None"."""

import datetime as dt
import hashlib
import re
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from flask import Flask, current_app, url_for
from markupsafe import Markup

from ..core import clock, formats
from ..core.dates import in_words, last_day
from ..core.money import Money

MISSING = "–"


def register(app: Flask) -> None:
    """Offer what is below to the templates."""
    app.jinja_env.filters.update(
        money=money, date=date, long_date=long_date, time=time, datetime=datetime, browser=browser, plural=plural
    )
    app.jinja_env.globals.update(
        icon=icon,
        asset=asset,
        bootstrap_css=bootstrap_css,
        plural=plural,
        capped=capped,
        number=formats.number,
        today=clock.today,
        money_of=Money,
        last_day=last_day,
    )


BROWSERS = [
    ("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
]  # fmt: skip
SYSTEMS = [
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"), ("Windows", "Windows"),
    ("Macintosh", "Mac"), ("Linux", "Linux"),
]  # fmt: skip
"""Signs in what browsers call themselves, and what people call them: many name others too, so the first one counts."""


def browser(agent: str) -> str:
    """Firefox on Linux; what is none that we know, by the first word of what it calls itself."""
    name = next((name for sign, name in BROWSERS if sign in agent), "")
    system = next((system for sign, system in SYSTEMS if sign in agent), "")
    if not name:
        return agent.split("/")[0].split(" ")[0][:40] or "Unknown program"
    return f"{name} on {system}" if system else name


def money(amount: Money | None) -> str:
    """$1,204.00, or −$5.00 below zero."""
    return MISSING if amount is None else amount.in_words


def date(day: dt.date | dt.datetime | None) -> str:
    """24 Nov 2026; of an instant, the day where the business is."""
    return MISSING if day is None else in_words(_local(day))


def long_date(day: dt.date | dt.datetime | None) -> str:
    """Tuesday 24 November 2026."""
    return MISSING if day is None else f"{_local(day):%A} {_local(day).day} {_local(day):%B %Y}"


def time(instant: dt.datetime | None) -> str:
    """10:42 where the business is."""
    return MISSING if instant is None else f"{_local(instant):%H:%M}"


def datetime(instant: dt.datetime | None) -> str:
    """24 Nov 2026, 10:42 UTC."""
    return MISSING if instant is None else f"{date(instant)}, {_local(instant):%H:%M %Z}"


def _local(when: dt.date) -> dt.date:
    return when.astimezone(clock.zone()) if isinstance(when, dt.datetime) else when


def plural(count: int | None, one: str, many: str) -> str:
    """1 policy, 1,204 policies."""
    return MISSING if count is None else f"{formats.number(count)} {one if count == 1 else many}"


def capped(count: int, most: int = 1000) -> str:
    """1,204 as counted, or "1,000+" where counting stopped."""
    return f"{formats.number(most)}+" if count > most else formats.number(count)


@cache
def icon(name: str) -> Markup:
    """One of Bootstrap's icons, drawn in the page itself; it decorates, so readers of the screen skip it."""
    box, drawing = _icons()[name]
    start = f'<svg class="i" width="16" height="16" fill="currentColor" viewBox="{box}" aria-hidden="true">'
    return Markup(f"{start}{drawing}</svg>")  # noqa: S704 (a file of an installed package)


@cache
def _icons() -> dict[str, tuple[str, str]]:
    sprite = files("flask_bootstrap").joinpath("static/bootstrap5/icons/bootstrap-icons.svg").read_text("utf-8")
    symbols = re.findall(r'<symbol [^>]*viewBox="([^"]+)" id="([^"]+)">(.*?)</symbol>', sprite, re.DOTALL)
    return {name: (box, drawing) for box, name, drawing in symbols}


def asset(filename: str) -> str:
    """The address of a static file of ours; it changes with the content, so browsers may keep it for ever."""
    path = Path(current_app.static_folder or "", filename)
    return url_for("static", filename=filename, v=_content_hash(path, path.stat().st_mtime_ns))


def bootstrap_css() -> str:
    """The address of Bootstrap's style, which changes with the package."""
    return url_for("bootstrap.static", filename="css/bootstrap.min.css", v=_bootstrap_version())


@cache
def _bootstrap_version() -> str:
    return version("bootstrap-flask")


@cache
def _content_hash(path: Path, changed_at: int) -> str:  # noqa: ARG001 (part of the cache's key)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
