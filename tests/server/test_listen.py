"""Sockets of a server."""

import errno
import socket
from ipaddress import ip_address

import pytest

from whisper_streaming.errors import ListenError
from whisper_streaming.server.listen import bind_sockets, listen_error, network_addresses


def ports_of(sockets: list[socket.socket]) -> set[int]:
    ports = {listener.getsockname()[1] for listener in sockets}
    for listener in sockets:
        listener.close()
    return ports


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", ""])
def test_all_addresses_of_a_host_share_the_picked_port(host: str) -> None:
    [port] = ports_of(bind_sockets(host, 0))

    assert port > 0


def test_a_port_that_is_free_again_can_be_had_at_once() -> None:
    [port] = ports_of(bind_sockets("127.0.0.1", 0))

    assert ports_of(bind_sockets("127.0.0.1", port)) == {port}


def test_nobody_can_connect_before_the_server_listens() -> None:
    [listener] = bind_sockets("127.0.0.1", 0)
    with listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


def test_a_taken_port_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"port {port} .* already in use.*--port 0"):
            bind_sockets("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "x" * 70 + ".y"])
def test_an_unknown_host_is_named(host: str) -> None:
    with pytest.raises(ListenError, match=f"'{host}'"):
        bind_sockets(host, 0)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EACCES, "above 1023"), (errno.EADDRNOTAVAIL, "cannot listen on example port 80")],
)
def test_other_failures_are_explained(number: int, advice: str) -> None:
    assert advice in str(listen_error(OSError(number, "refused"), "example", 80))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "captions.example.org"])
def test_one_address_is_reached_at_that_address_only(host: str) -> None:
    assert network_addresses(host) == []


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
def test_every_address_is_reached_at_those_of_this_machine(host: str) -> None:
    addresses = network_addresses(host)

    assert len(set(addresses)) == len(addresses)
    for address in addresses:  # none where there is no network
        assert not ip_address(address).is_loopback
        [listener] = bind_sockets(address, 0)  # fails unless it is one of ours
        listener.close()
