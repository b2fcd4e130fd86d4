"""Writes the README's pictures into docs/img: the demo on the day on which the tests take place."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from flask import Flask
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select
from werkzeug.serving import make_server

from insurance.claims.domain import ClaimStatus
from insurance.claims.models import Claim
from insurance.core.db import db
from insurance.customers.models import Customer
from insurance.demo import portfolio
from insurance.policies.models import Policy
from tests.browser.conftest import CHROMIUM, sign_in
from tests.conftest import Sqlite

FOLDER = Path(__file__).parents[2] / "docs" / "img"
PASSWORD = "correct-demo-password"
PHONE, DESK = (390, 844), (1280, 900)


def main() -> None:
    """Serve the demo and take every picture."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with TemporaryDirectory() as folder, served(Path(folder)) as site, sync_playwright() as playwright:
        maria = select(Policy.id).join(Customer).where(Customer.email == "customer@example.com")
        policy = db.session.scalars(maria.order_by(Policy.id)).first()
        claim = db.session.scalars(select(Claim.id).where(Claim.status == ClaimStatus.UNDER_REVIEW)).first()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, who, path, (width, height), scheme in (
            ("portal-phone", "customer", "/portal", PHONE, "light"),
            ("portal", "customer", "/portal", DESK, "light"),
            ("portal-dark", "customer", "/portal", DESK, "dark"),
            ("work-queue", "agent", "/agent", DESK, "light"),
            ("policy", "agent", f"/policies/{policy}", DESK, "light"),
            ("claim", "admin", f"/claims/{claim}/approve", DESK, "light"),
            ("overview", "admin", "/admin", DESK, "light"),
        ):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            sign_in(page, site, f"{who}@example.com", PASSWORD)
            page.goto(site + path)
            keep(page, name)
            page.close()
        browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The demo portfolio, served from a folder."""
    app: Flask = Sqlite(folder).app
    app.config.update(DEMO_PASSWORD=PASSWORD)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with app.app_context():
        portfolio.load(policies=60, seed=1, if_empty=False)
        db.session.remove()
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        db.session.remove()
        db.engine.dispose()


def keep(page: Page, name: str) -> None:
    """Write what the window shows, in 256 colours, a third of the bytes."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
    path = FOLDER / f"{name}.png"
    picture.save(path, optimize=True)
    sys.stdout.write(f"{path.stat().st_size / 1024:6.0f} KB  {path.relative_to(Path.cwd())}\n")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    main()
