"""What the service counts, in Prometheus' text format: counters, a histogram and a gauge need no client library."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from threading import Lock

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
COUNTERS = {
    "es_ranking_requests_total": "Requests by route and status.",
    "es_ranking_searches_total": "Searches by way: passed on, or how a recommended one was run.",
    "es_ranking_flags_total": "Recommended pages that went otherwise than they should, by flag.",
    "es_ranking_events_total": "Events by outcome: accepted, repeated, refused.",
}
SECONDS = "es_ranking_request_seconds"
AGE = "es_ranking_generation_age_hours"
_Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters and latencies of one process. Label values are names of ours, never a caller's text."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, _Labels]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Adds to one of `COUNTERS`."""
        with self._lock:
            self._counts[name, tuple(labels.items())] += amount

    def took(self, route: str, seconds: float) -> None:
        """One answered request."""
        with self._lock:
            buckets = self._buckets.setdefault(route, [0] * (len(BUCKETS) + 1))
            buckets[bisect_left(BUCKETS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def text(self, ages: Mapping[str, float]) -> str:
        """Everything, as Prometheus reads it.

        Args:
            ages: index → hours since the clock of the run it serves.
        """
        lines = []
        with self._lock:
            for name, meaning in COUNTERS.items():
                lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter"]
                for (counted, labels), count in sorted(self._counts.items()):
                    if counted == name:
                        named = ",".join(f'{label}="{value}"' for label, value in labels)
                        lines.append(f"{name}{{{named}}} {count}")
            lines += [f"# HELP {SECONDS} Seconds from request to answer.", f"# TYPE {SECONDS} histogram"]
            for route, buckets in sorted(self._buckets.items()):
                below = 0
                for edge, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
                    below += count
                    lines.append(f'{SECONDS}_bucket{{route="{route}",le="{edge}"}} {below}')
                lines.append(f'{SECONDS}_sum{{route="{route}"}} {self._seconds[route]:.6f}')
                lines.append(f'{SECONDS}_count{{route="{route}"}} {below}')
        lines += [f"# HELP {AGE} Hours since the clock of the run in service.", f"# TYPE {AGE} gauge"]
        lines += [f'{AGE}{{index="{index}"}} {age}' for index, age in sorted(ages.items())]
        return "\n".join(lines) + "\n"
