"""Types of members that several kinds of records have."""

from typing import Annotated

from pydantic import Field

AmountText = Annotated[str, Field(examples=["2400.00"])]
CurrencyText = Annotated[str, Field(examples=["USD"])]
InstantText = Annotated[str, Field(examples=["2026-06-01T12:00:00+00:00"], json_schema_extra={"format": "date-time"})]
