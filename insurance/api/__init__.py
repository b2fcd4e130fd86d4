"""What the API of every feature shares: operations, JSON that comes in, collections that go out, the document."""

from . import limits
from .operations import Api

api = Api("api", __name__, url_prefix="/api")
"""All operations; each feature adds its own in its room api.py."""
api.before_request(limits.count)
api.after_request(limits.say)
