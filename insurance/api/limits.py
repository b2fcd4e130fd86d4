"""How many requests each user may send a minute, counted by each web process on its own."""

from collections import Counter

from flask import Response, current_app, g, request
from flask_login import current_user

from ..core import clock
from ..core.errors import TooMany

WINDOW = 60


def count() -> None:
    """Count the request, and refuse it if there were too many in this minute."""
    window = int(clock.seconds()) // WINDOW
    since, counts = current_app.extensions.get("api_requests", (None, None))
    if since != window:
        counts = Counter()
        current_app.extensions["api_requests"] = window, counts
    who = current_user.id if current_user.is_authenticated else request.remote_addr
    counts[who] += 1
    g.requests_left = current_app.config["API_REQUESTS_PER_MINUTE"] - counts[who]
    if g.requests_left < 0:
        raise TooMany("Too many requests in this minute. Go on when it is over.")


def say(response: Response) -> Response:
    """Tell the program how many requests it has left."""
    if "requests_left" in g:
        resets = WINDOW - int(clock.seconds()) % WINDOW
        response.headers["RateLimit-Limit"] = str(current_app.config["API_REQUESTS_PER_MINUTE"])
        response.headers["RateLimit-Remaining"] = str(max(g.requests_left, 0))
        response.headers["RateLimit-Reset"] = str(resets)
        if g.requests_left < 0:
            response.headers["Retry-After"] = str(resets)
    return response
