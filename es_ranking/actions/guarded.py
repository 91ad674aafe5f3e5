"""A Redis client that never makes a search wait: one short time-out, no retries, and a circuit breaker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from es_ranking.actions.breaker import Breaker
from segments.errors import EngineUnreachable, UsageError

Answer = TypeVar("Answer")
_DOWN = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError)
HINT = "es-ranking node start starts the embedded one, or set REDIS_URL"


class GuardedRedis:
    """One Redis, as one store uses it.

    Args:
        url: `redis://host:port/db`, credentials from the environment.
        what: the store's name in errors, such as "recent-action store".
        unavailable: raised when it does not answer.
        timeout_seconds: for connecting and for each answer.
        breaker: remembers that it is down.

    Raises:
        UsageError: no address of a Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        what: str,
        unavailable: type[EngineUnreachable],
        timeout_seconds: float,
        breaker: Breaker | None = None,
    ) -> None:
        self.what, self.unavailable = what, unavailable
        self.breaker = breaker or Breaker()
        try:
            # no retries inside the client: they would turn one short time-out into several with pauses between
            self.client = redis.Redis.from_url(
                url,
                socket_timeout=timeout_seconds,
                socket_connect_timeout=timeout_seconds,
                retry=Retry(NoBackoff(), 0),
                encoding_errors="surrogatepass",
            )
        except ValueError as error:
            raise UsageError(f"the address of the {what} is wrong", hint="redis://host:6379/0") from error

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """What the call answers; an open breaker answers at once.

        Raises:
            EngineUnreachable: the store's own `unavailable`.
        """
        if not self.breaker.allows():
            raise self.unavailable(f"the {self.what} was down a moment ago", hint=HINT)
        try:
            answer = call()
        except _DOWN as error:
            self.breaker.failed()
            raise self.unavailable(f"the {self.what} does not answer: {type(error).__name__}", hint=HINT) from error
        self.breaker.succeeded()
        return answer
