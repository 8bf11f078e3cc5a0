"""The sockets that a server listens on, and the addresses it is reached at."""

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from whisper_streaming.errors import ListenError

_PORT_ATTEMPTS: Final = 20
_DISCARD_PORT: Final = 9
EVERY_ADDRESS: Final = {
    "": (socket.AF_INET, socket.AF_INET6),
    "0.0.0.0": (socket.AF_INET,),
    "::": (socket.AF_INET6,),
}
"""What stands for every address of the machine; IPv6 alone takes no IPv4, see ``_bind``."""
_ELSEWHERE: Final = {
    # The far ends of private networks, and an address that is nobody's (RFC 5737, RFC 3849).
    socket.AF_INET: ("192.168.255.254", "10.255.255.254", "172.31.255.254", "192.0.2.1"),
    socket.AF_INET6: ("fdff:ffff:ffff:ffff::1", "2001:db8::1"),
}
_NO_SUCH_ADDRESS_FAMILY: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Bind every address of ``host``, all at one port; nothing is accepted yet.

    ``localhost`` is two addresses on most machines. asyncio would give port 0 a different port
    on each of them, and would refuse to start where IPv6 is named but switched off.

    Args:
        host: Name or address; empty is every address of the machine.
        port: 0 picks a free one.

    Raises:
        ListenError: If the name is unknown, the port is taken or may not be had.
    """
    addresses = _resolve(host, port)
    for attempt in range(_PORT_ATTEMPTS):
        try:
            return _bind_all(addresses, port)
        except OSError as exc:
            # The free port of the first address may be taken on the second.
            is_bad_luck = port == 0 and exc.errno == errno.EADDRINUSE
            if not is_bad_luck or attempt == _PORT_ATTEMPTS - 1:
                raise listen_error(exc, host, port) from exc
    raise AssertionError("unreachable")


def listen_error(error: OSError, host: str, port: int) -> ListenError:
    """What to tell an operator about ``error``."""
    if error.errno == errno.EADDRINUSE:
        return ListenError(
            f"port {port} of {host or 'this machine'} is already in use: another server runs "
            "there. Stop it, or take another port with --port, or any free one with --port 0"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ListenError(
            f"port {port} may not be used without special rights: take one above 1023 with --port"
        )
    return ListenError(f"cannot listen on {host or 'this machine'} port {port}: {error.strerror}")


def network_addresses(host: str) -> list[str]:
    """This machine's addresses in its networks, if a server at ``host`` is reached at them.

    None for a server that listens to one address only, and none of the machine itself.
    """
    found: list[str] = []
    for family in EVERY_ADDRESS.get(host, ()):
        for target in _ELSEWHERE[family]:
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, _DISCARD_PORT))  # sends nothing: it only picks a route
                found.append(probe.getsockname()[0])
    return [each for each in dict.fromkeys(found) if not ip_address(each).is_loopback]


def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as exc:  # no such name, or none that could exist
        raise ListenError(f"the address {host!r} given with --host is not known here") from exc
    # The order is kept: the first address is the one that is printed.
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind_all(
    addresses: Iterable[tuple[socket.AddressFamily, tuple[object, ...]]], port: int
) -> list[socket.socket]:
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                bound.append(_bind(family, (address[0], port, *address[2:])))
            except OSError as exc:
                if exc.errno not in _NO_SUCH_ADDRESS_FAMILY:
                    raise
                missing = exc
                continue
            port = bound[0].getsockname()[1]
        if not bound and missing is not None:
            raise missing
    except BaseException:
        for listener in bound:
            listener.close()
        raise
    return bound


def _bind(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Else a restart has to wait until the connections of the last run are forgotten.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener
