"""What is sold: product definitions as data, and the premium that follows from them."""

import json
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "definitions"


def shipped() -> dict[str, dict[str, Any]]:
    """The definitions of the products that come with the system, by code."""
    definitions = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED.glob("*.json"))]
    return {definition["code"]: definition for definition in definitions}
