"""Which network addresses a webhook may lead to.

A webhook's address comes from a list that many people edit. Whoever could enter one of ours (the database, a cloud's
metadata service) would make the notifier knock on doors inside the house.
"""

import asyncio
import socket
from concurrent.futures import Executor
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from shared.errors import TemporaryFailure

# Ways to write an IPv4 address inside an IPv6 one; a public shell may hold a private kernel.
_WRAPPING_NETWORKS = tuple(ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))


class AddressRefused(ValueError):
    """The name leads to an address that webhooks must not reach."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address belongs to the open internet."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _WRAPPING_NETWORKS) or address.is_site_local:
            return False
        # ::a.b.c.d, long out of use, yet still understood by some systems.
        if int(address) < 2**32:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve(host: str, port: int, executor: Executor, *, allow_private: bool) -> str:
    """Return one address of the host. The caller connects to it and to no other: a second look-up may say otherwise.

    Raises AddressRefused if any of the host's addresses is not public, TemporaryFailure if the name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(executor, _look_up, host, port)
    except (OSError, UnicodeError) as error:
        raise TemporaryFailure("the webhook's host name cannot be resolved") from error
    addresses = [ip_address(text.partition("%")[0]) for text in found]
    if not allow_private and not all(is_public(address) for address in addresses):
        raise AddressRefused("the webhook's host leads to an address that is not public")
    return str(addresses[0])


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
