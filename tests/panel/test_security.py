"""Who may come in, without a network: names, origins, codes, tokens, allowances."""

from pathlib import Path

import pytest

from host.panel.security import TRIES, Allowance, Door, Pairing, Tokens

ALONE = Door(network=False, spectators=False, names=["box", "box.local"])
OPEN = Door(network=True, spectators=True, names=["box", "box.local"])


@pytest.mark.parametrize("host", ["localhost", "localhost:1200", "127.0.0.1:1", "[::1]:1200", "LOCALHOST"])
def test_local_names_always_count(host: str) -> None:
    assert ALONE.host_allowed(host) and OPEN.host_allowed(host)


@pytest.mark.parametrize(("host", "on_the_network"), [
    ("192.168.1.7:1200", True), ("[fe80::1]:1200", True), ("box:1200", True), ("box.local.", True), ("BOX", True),
    ("evil.example", False), ("localhost.evil.example", False), ("box.evil.example", False), ("", False),
    ("127.0.0.1.evil.example", False), ("user@localhost", False), ("localhost/evil", False),
])  # fmt: skip
def test_other_names_only_on_the_network_and_only_its_own(host: str, on_the_network: bool) -> None:
    assert not ALONE.host_allowed(host)
    assert OPEN.host_allowed(host) is on_the_network


def test_a_change_must_come_from_the_page_itself() -> None:
    assert OPEN.origin_allowed("http://box:1200", "box:1200")
    assert OPEN.origin_allowed("https://box", "box")  # behind a proxy
    for origin in (
        None,
        "null",
        "http://box",
        "http://box:1201",
        "http://evil.example",
        "http://box:1200.evil",
        "",
    ):
        assert not OPEN.origin_allowed(origin, "box:1200")


def test_roles() -> None:
    assert ALONE.role("127.0.0.1", known=False) == "player" == ALONE.role("::1", known=False)
    assert OPEN.role("192.168.1.7", known=True) == "player"
    assert OPEN.role("192.168.1.7", known=False) == "spectator"
    assert ALONE.role("192.168.1.7", known=False) == "stranger" == ALONE.role("nowhere", known=False)


def test_a_code_is_good_once_and_guessing_draws_another() -> None:
    numbers = iter([7, 123456, 999999, 5])
    pairing = Pairing(lambda below: next(numbers))
    assert pairing.code == "000007" and pairing.matches(" 000007 ")
    assert pairing.code == "123456" and not pairing.matches("000007")
    for _ in range(TRIES - 1):
        assert not pairing.matches("111111")
    assert pairing.code == "999999"
    assert not pairing.matches("123456") and not pairing.matches("") and not pairing.matches("ä" * 50)


def test_tokens_are_kept_as_hashes_that_only_this_user_reads(tmp_path: Path) -> None:
    path = tmp_path / "panel-tokens"
    Tokens(path).add("secret")
    again = Tokens(path)
    assert (
        again.known("secret") and not again.known("other") and not again.known("") and not again.known(None)
    )
    assert b"secret" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    for n in range(40):
        again.add(f"token {n}")
    assert not again.known("secret") and again.known("token 39")
    path.write_bytes(b"garbage")
    assert not Tokens(path).known("secret")


def test_an_allowance_fills_up_again() -> None:
    allowance = Allowance(a_second=2.0, at_once=3.0)
    assert [allowance.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(10.4) and allowance.take(10.5) and not allowance.take(10.6)
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]
