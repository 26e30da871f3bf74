"""Which addresses are on the public internet, and which are a way into somebody's own network."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
UNICAST = IPv6Network("2000::/3")  # all that IANA has given out for the public
NOT_PUBLIC_EITHER = tuple(
    ip_network(text)
    for text in (
        "192.88.99.0/24",  # RFC 7526: 6to4 relays, given back
        "2001::/32",  # RFC 4380: Teredo, a tunnel to an IPv4 address behind somebody's router
        "3fff::/20",  # RFC 9637: documentation
    )
)


def is_public(address: str | Address) -> bool:
    """Whether an address is on the public internet; one that carries an IPv4 address is judged by that one.

    A text that is no address is not public.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if any(ip in network for network in NOT_PUBLIC_EITHER if network.version == ip.version):
        return False
    if isinstance(ip, IPv6Address):
        inner = _embedded(ip)
        return is_public(inner) if inner is not None else ip in UNICAST and ip.is_global
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv4-mapped, 6to4 (RFC 3056) or NAT64 address."""
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
