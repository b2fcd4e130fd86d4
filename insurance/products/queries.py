"""The catalogue as it is on a day."""

from datetime import date

from sqlalchemy import Select, func, select

from ..core.db import db
from ..core.errors import NotFound, RuleBroken
from .models import Product, ProductVersion, VersionStatus


def catalogue() -> list[Product]:
    """All products, by name."""
    return list(db.session.scalars(select(Product).order_by(Product.name)))


def version_on(code: str, on: date) -> ProductVersion:
    """The published version of a product that is in force on a day."""
    versions = (
        select(ProductVersion)
        .join(Product, Product.id == ProductVersion.product_id)
        .where(Product.code == code, ProductVersion.status == VersionStatus.PUBLISHED)
    )
    version = db.session.scalar(
        versions.where(ProductVersion.effective_on <= on).order_by(ProductVersion.effective_on.desc()).limit(1)
    )
    if version is None:
        if db.session.scalar(select(Product.id).where(Product.code == code)) is None:
            raise NotFound("We do not sell such a product.")
        raise RuleBroken("This product is not sold for cover that starts on that day.", "start_date")
    return version


def product_rows(day: date) -> Select:
    """Products with the version of each that is in force on a day."""
    newer = (
        select(func.max(ProductVersion.effective_on))
        .where(
            ProductVersion.product_id == Product.id,
            ProductVersion.status == VersionStatus.PUBLISHED,
            ProductVersion.effective_on <= day,
        )
        .correlate(Product)
        .scalar_subquery()
    )
    in_force = (ProductVersion.product_id == Product.id) & (ProductVersion.effective_on == newer)
    return select(Product.id, Product.code, Product.name, ProductVersion.number, ProductVersion.definition).join(
        ProductVersion, in_force
    )


def versions() -> list[ProductVersion]:
    """Every version of every product, the newest of each first."""
    return list(
        db.session.scalars(
            select(ProductVersion)
            .join(Product, Product.id == ProductVersion.product_id)
            .order_by(Product.name, ProductVersion.number.desc())
        )
    )


def get_version(id: int) -> ProductVersion:
    """One version of a product."""
    version = db.session.get(ProductVersion, id)
    if version is None:
        raise NotFound("We cannot find that product.")
    return version
