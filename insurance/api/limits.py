"""How many requests each user may send a minute: counted in Redis by all web processes together, else by each alone."""

from collections import Counter
from typing import cast

from flask import Response, current_app, g, request
from flask_login import current_user
from redis import Redis, RedisError

from ..core import clock
from ..core.errors import TooMany

WINDOW = 60
REDIS_SECONDS = 0.2
CONNECT_SECONDS = 1.0  # with a TLS handshake, once for each process
"""For so long Redis may keep a request waiting."""
REDIS_PAUSE = 10
"""For so long a Redis that failed is left alone, so that it does not keep every request waiting."""


def count() -> None:
    """Count the request, and refuse it if there were too many in this minute."""
    window = int(clock.now().timestamp()) // WINDOW  # the same on every machine
    who = str(current_user.id if current_user.is_authenticated else request.remote_addr)
    sent = _count_together(window, who) or _count_alone(window, who)
    g.requests_left = current_app.config["API_REQUESTS_PER_MINUTE"] - sent
    if g.requests_left < 0:
        raise TooMany("Too many requests in this minute. Go on when it is over.")


def _count_together(window: int, who: str) -> int:
    """How many requests of this minute all processes have seen; 0 if Redis does not say."""
    if not current_app.config["REDIS_URL"]:
        return 0
    kept = current_app.extensions.setdefault("redis", {"failed_at": None})
    if kept["failed_at"] is not None and clock.seconds() - kept["failed_at"] < REDIS_PAUSE:
        return 0
    if "connection" not in kept:
        kept["connection"] = Redis.from_url(
            current_app.config["REDIS_URL"],
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=None,
        )
    key = f"insurance:requests:{window}:{who}"
    try:
        with kept["connection"].pipeline() as together:
            sent, _ = together.incr(key).expire(key, 2 * WINDOW).execute()
    except RedisError as error:
        kept["failed_at"] = clock.seconds()
        current_app.logger.warning("redis does not answer, each process counts alone: %s", error)
        return 0
    return cast(int, sent)


def _count_alone(window: int, who: str) -> int:
    since, counts = current_app.extensions.get("api_requests", (None, None))
    if since != window:
        counts = Counter()
        current_app.extensions["api_requests"] = window, counts
    counts[who] += 1
    return cast(int, counts[who])


def say(response: Response) -> Response:
    """Tell the program how many requests it has left."""
    if "requests_left" in g:
        resets = WINDOW - int(clock.now().timestamp()) % WINDOW
        response.headers["RateLimit-Limit"] = str(current_app.config["API_REQUESTS_PER_MINUTE"])
        response.headers["RateLimit-Remaining"] = str(max(g.requests_left, 0))
        response.headers["RateLimit-Reset"] = str(resets)
        if g.requests_left < 0:
            response.headers["Retry-After"] = str(resets)
    return response
