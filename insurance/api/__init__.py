"""What the API of every feature shares: operations, JSON that comes in, collections that go out, the document."""

from .operations import Api

api = Api("api", __name__, url_prefix="/api")
"""All operations; each feature adds its own in its room api.py."""
