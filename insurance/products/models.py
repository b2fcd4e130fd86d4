"""Products and their versions."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..core.db import Base, BigId, identity, words


class VersionStatus(StrEnum):
    """Only a published version is sold; it never changes."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class Product(Base):
    """Something that is sold, in versions."""

    __tablename__ = "products"

    id: Mapped[int] = identity()
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(100))


class ProductVersion(Base):
    """What a product is from a day on: coverages, questions, rates and rules as data."""

    __tablename__ = "product_versions"
    __table_args__ = (UniqueConstraint("product_id", "number"), UniqueConstraint("product_id", "effective_on"))

    id: Mapped[int] = identity()
    product_id: Mapped[int] = mapped_column(BigId, ForeignKey("products.id"))
    number: Mapped[int]
    effective_on: Mapped[date]
    status: Mapped[VersionStatus] = mapped_column(words(VersionStatus), default=VersionStatus.DRAFT)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    published_at: Mapped[datetime | None]
