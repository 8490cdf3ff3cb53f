"""How often somebody may ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address

from bowerbird.tables.errors import ConfigError


class Rates:
    """A token bucket for each caller: `burst` requests at once, `per_second` in the long run.

    Kept as one number a caller: the time at which its bucket will be full again (the "generic cell rate algorithm",
    the same answers as a bucket that is refilled drop by drop, without the refilling).

    Memory is bounded: beyond `max_callers` the caller that has been quiet for longest is forgotten. One that is
    forgotten starts with a full bucket, so forgetting grants at most one burst more.

    Args:
        per_second: Requests a second in the long run.
        burst: Requests at once; at least 1.
        max_callers: Callers remembered.
        clock: Seconds that only ever grow.

    Raises:
        ConfigError: A limit that would let nobody through.
    """

    def __init__(
        self, per_second: float, burst: float, *, max_callers: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        if not per_second > 0 or not burst >= 1 or max_callers < 1:
            raise ConfigError(
                "a rate needs more than 0 requests a second, a burst of 1 or more and room for 1 or more callers; "
                f"got {per_second:g}, {burst:g} and {max_callers}"
            )
        self._each_s, self._depth_s = 1 / per_second, burst / per_second
        self._max_callers, self._clock = max_callers, clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: Hashable) -> float:
        """Takes one request from the caller's bucket.

        Returns:
            0 where it was there; else the seconds until it will be, and nothing is taken.
        """
        with self._lock:
            now = self._clock()
            full_at = max(self._full_at.get(caller, now), now) + self._each_s
            # A hair of tolerance: the sum of many 1 / per_second is not exactly their product.
            wait = full_at - now - self._depth_s
            if wait > 1e-9:
                return wait
            self._full_at[caller] = full_at
            self._full_at.move_to_end(caller)
            if len(self._full_at) > self._max_callers:
                self._full_at.popitem(last=False)
            return 0.0

    def __len__(self) -> int:
        """Callers remembered."""
        return len(self._full_at)


def network_of(host: str) -> str:
    """What stands for an address when its requests are counted.

    One person has a whole /64 network of IPv6 addresses to ask from, so those count as one; an IPv4 address written
    as IPv6 is the IPv4 address. Text that is no address is returned as it is.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
