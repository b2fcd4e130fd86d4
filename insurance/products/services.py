"""Publishing products."""

from datetime import date

from sqlalchemy import select

from ..core import audit, clock
from ..core.db import add, db, transactional
from ..core.permissions import SYSTEM
from . import shipped
from .domain import check_definition, run_tests
from .models import Product, ProductVersion, VersionStatus

FIRST_DAY = date(2000, 1, 1)
"""From when on the products that ship can be sold; old policies can be entered as well."""


@transactional
def publish_shipped() -> list[str]:
    """Publish what ships and is not there yet; again, nothing happens. Each runs its own tests first."""
    published = []
    for code, definition in shipped().items():
        check_definition(definition)
        run_tests(definition)
        product = db.session.scalar(select(Product).where(Product.code == code))
        if product is None:
            product = add(Product(code=code, name=definition["name"]))
        latest = db.session.scalar(
            select(ProductVersion).where(ProductVersion.product_id == product.id).order_by(ProductVersion.number.desc())
        )
        if latest and latest.definition == definition:
            continue
        number = latest.number + 1 if latest else 1
        version = add(
            ProductVersion(
                product_id=product.id,
                number=number,
                effective_on=FIRST_DAY if number == 1 else clock.today(),
                status=VersionStatus.PUBLISHED,
                definition=definition,
                published_at=clock.now(),
            )
        )
        audit.record("publish", version, label=f"{code} version {number}", actor=SYSTEM)
        published.append(f"{code} version {number}")
    return published
