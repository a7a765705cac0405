"""The session with a pool: who is spoken to, what is refused, and that it is closed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pool.site import PoolSite
from relun.pool import transport
from relun.pool.connection import NO_ANSWER, Address, ApiFailure, connect
from relun.pool.ensure import ensure
from relun.pool.errors import PoolRefused
from remote.servers import free_port
from xapi.server import PASSWORD, USER

MakeSite = Callable[..., PoolSite]


def refused(address: Address) -> PoolRefused:
    """Return the error of a login."""
    with pytest.raises(PoolRefused) as caught, connect(address):
        pass
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_closed_whatever_happens(make_pool_site: MakeSite) -> None:
    """After the work, after an error in it, when logging out fails."""
    site = make_pool_site(hosts=1)
    address = Address(site.url, USER, PASSWORD)
    with connect(address) as connection:
        assert len(site.sessions) == 1
        assert connection.find("SR", "11111111-2222-4333-8444-555555555555") == ""
        other = connection.another()
        assert other.records("host") == connection.records("host")
        other.close()
    assert site.sessions == []
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), connect(address):
            raise error
        assert site.sessions == []
    site.drop("session.logout", after=True)
    with connect(address):
        pass
    assert site.sessions == []


def test_wrong_password(make_pool_site: MakeSite) -> None:
    """xapi's word, and whose it was."""
    site = make_pool_site(hosts=1)
    error = refused(Address(site.url, USER, "wrong"))
    assert (error.code, error.fields["user"]) == ("pool-login", USER)
    assert error.fields["reason"] == "SESSION_AUTHENTICATION_FAILED"
    assert site.sessions == []


def test_nobody_there() -> None:
    """Nobody listens; no such host."""
    for url in (f"http://127.0.0.1:{free_port()}", "http://nowhere.invalid"):
        error = refused(Address(url, USER, PASSWORD))
        assert (error.code, error.fields["url"]) == ("pool-unreachable", url)
        assert error.fields["reason"]


def test_a_login_without_answer(make_pool_site: MakeSite) -> None:
    """The connection ends while it waits."""
    site = make_pool_site(hosts=1)
    site.drop("session.login_with_password")
    assert refused(Address(site.url, USER, PASSWORD)).code == "pool-unreachable"


def test_certificates(make_pool_site: MakeSite, tmp_path: Path) -> None:
    """Verified by default; trusted by a file; or not looked at by wish."""
    site = make_pool_site(hosts=1, tls=True)
    assert site.url.startswith("https://")
    address = Address(site.url, USER, PASSWORD)
    error = refused(address)
    assert error.code == "pool-certificate"
    assert "self-signed" in error.fields["reason"].replace(" ", "-")
    assert not site.calls  # the password was not told
    (tmp_path / "empty.pem").write_text("nothing\n")
    assert refused(address._replace(ca=str(tmp_path / "empty.pem"))).code == "pool-certificate"
    named_otherwise = site.url.replace("127.0.0.1", "localhost")
    refusal = refused(address._replace(url=named_otherwise, ca=str(site.ca)))
    assert refusal.code == "pool-certificate"
    for trusting in (address._replace(ca=str(site.ca)), address._replace(insecure=True)):
        with connect(trusting) as connection:
            assert len(connection.records("host")) == 1
            another = connection.another()
            assert another.master == connection.master
            another.close()
    assert site.sessions == []


@pytest.mark.parametrize("tls", [False, True])
def test_a_slave_sends_to_its_master(make_pool_site: MakeSite, tls: bool) -> None:
    """The same port, the same certificate rules."""
    site = make_pool_site(hosts=2, tls=tls)
    slave = site.url_of(site.pool.hosts[1])
    assert slave != site.url
    ca = str(site.ca) if tls else ""
    with connect(Address(slave, USER, PASSWORD, ca)) as connection:
        assert connection.address.url == site.url
        assert len(connection.records("host")) == 2
    assert site.sessions == []


def test_a_master_that_is_none(make_pool_site: MakeSite) -> None:
    """Two that send relun to each other end in an error, not in a circle."""
    site = make_pool_site(hosts=1)
    for _login in range(2):
        site.fail("session.login_with_password", code=("HOST_IS_SLAVE", "127.0.0.1"), times=0)
    error = refused(Address(site.url, USER, PASSWORD))
    assert (error.code, error.fields["reason"]) == ("pool-login", "HOST_IS_SLAVE")


def test_a_call_is_never_sent_twice(make_pool_site: MakeSite) -> None:
    """Its answer lost, it may have been done."""
    site = make_pool_site(hosts=1)
    with connect(Address(site.url, USER, PASSWORD)) as connection:
        for after in (False, True):
            before = len(site.calls)
            site.drop("pool.get_all", after=after)
            with pytest.raises(ApiFailure) as caught:
                connection.call("pool.get_all")
            assert caught.value.code == NO_ANSWER
            assert len(site.calls) == before + 1
            assert len(connection.call("pool.get_all")) == 1
        with pytest.raises(ApiFailure) as caught:
            connection.record("SR", "OpaqueRef:NULL")
        assert (caught.value.code, caught.value.call) == ("HANDLE_INVALID", "SR.get_record")
        assert caught.value.reason.startswith("HANDLE_INVALID SR")
        assert connection.calls == 5
        assert connection.seconds > 0


def test_a_connection_that_was_idle(
    make_pool_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may have closed it: the next call opens another one."""
    site = make_pool_site(hosts=1)
    monkeypatch.setattr(transport, "_IDLE_SECONDS", 0.0)
    with connect(Address(site.url, USER, PASSWORD)) as connection:
        live = connection._session.transport._live
        time.sleep(0)  # time passes between two looks at the clock
        connection.call("pool.get_all")
        assert connection._session.transport._live is not live


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "XenAPI", None)
    assert refused(Address("http://127.0.0.1")).code == "pool-package"


def test_what_is_shown_of_an_address() -> None:
    """Not the password."""
    assert PASSWORD not in repr(Address("https://pool", USER, PASSWORD))


class Flaky:
    """Something to be done, whose calls fail as told: "b" before, "a" after their work, or not."""

    def __init__(self, acts: str, questions: str = "") -> None:
        self.acts = list(acts)
        self.questions = list(questions)
        self.times = 0

    def act(self) -> None:
        how = self.acts.pop(0) if self.acts else "-"
        if how != "b":
            self.times += 1
        self._fail(how)

    def done(self) -> bool:
        self._fail(self.questions.pop(0) if self.questions else "-")
        return self.times > 0

    @staticmethod
    def _fail(how: str) -> None:
        if how != "-":
            raise ApiFailure("X.act", ["FAILED"])


@pytest.mark.parametrize(
    ("acts", "questions"), [("", ""), ("a", ""), ("b", ""), ("ba", ""), ("", "b"), ("b", "-b")]
)
def test_ensure(acts: str, questions: str) -> None:
    """One failure of a kind does no harm, and nothing is done twice."""
    flaky = Flaky(acts, questions)
    if questions == "-b":
        with pytest.raises(ApiFailure):
            ensure(flaky.done, flaky.act)
        return
    ensure(flaky.done, flaky.act)
    assert flaky.times == 1


def test_ensure_gives_up() -> None:
    """When it is not done after the second time."""
    with pytest.raises(ApiFailure):
        ensure(Flaky("bb").done, Flaky("bb").act)
