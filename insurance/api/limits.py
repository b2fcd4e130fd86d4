"""How many requests each user may send a minute: counted in Redis for all web processes, or by each on its own."""

from collections import Counter
from typing import Any

from flask import Response, current_app, g, request
from flask_login import current_user

from ..core import clock
from ..core.errors import TooMany

WINDOW = 60
PATIENCE = 0.25
"""For so many seconds Redis may keep a request waiting."""


def count() -> None:
    """Count the request, and refuse it if there were too many in this minute."""
    who = current_user.id if current_user.is_authenticated else request.remote_addr
    counted, g.resets = (current_app.config["REDIS_URL"] and _count_for_all(who)) or _count_here(who)
    g.requests_left = current_app.config["API_REQUESTS_PER_MINUTE"] - counted
    if g.requests_left < 0:
        raise TooMany("Too many requests in this minute. Go on when it is over.")


def _count_here(who: Any) -> tuple[int, int]:
    """How many there were, and in how many seconds the counting begins anew."""
    now = int(clock.seconds())
    since, counts = current_app.extensions.get("api_requests", (None, None))
    if since != now // WINDOW:
        counts = Counter()
        current_app.extensions["api_requests"] = now // WINDOW, counts
    counts[who] += 1
    return counts[who], WINDOW - now % WINDOW


def _count_for_all(who: Any) -> tuple[int, int] | None:
    """The same for all processes together; nothing if Redis does not answer."""
    import redis

    known = current_app.extensions
    if "redis" not in known:
        url = current_app.config["REDIS_URL"]
        known["redis"] = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    key = f"insurance:requests:{who}"
    try:
        counted, _, resets = known["redis"].pipeline().incr(key).expire(key, WINDOW, nx=True).ttl(key).execute()
    except redis.RedisError as error:
        current_app.logger.warning("Redis does not answer, each process counts on its own: %s", type(error).__name__)
        return None
    return counted, resets


def say(response: Response) -> Response:
    """Tell the program how many requests it has left."""
    if "requests_left" in g:
        response.headers["RateLimit-Limit"] = str(current_app.config["API_REQUESTS_PER_MINUTE"])
        response.headers["RateLimit-Remaining"] = str(max(g.requests_left, 0))
        response.headers["RateLimit-Reset"] = str(g.resets)
        if g.requests_left < 0:
            response.headers["Retry-After"] = str(g.resets)
    return response
