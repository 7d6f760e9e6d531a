"""Where credentials may go: the spellings with which a pull request would try to get them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.hosts import (
    BUILT_IN_ORIGINS,
    AllowedHosts,
    BadUrlError,
    Origin,
    Url,
    allowed_host,
    may_receive,
)

NOBODY = AllowedHosts()
VOUCHED = AllowedHosts(((Origin("https", "sh.acme.test", 443), "SHPLAN_ALLOW_HOST"),))


@pytest.mark.parametrize(
    "url",
    [
        "https://services.sentinel-hub.com",
        "https://services.sentinel-hub.com:443/oauth/token",
        "HTTPS://SERVICES.Sentinel-Hub.com/",
        "https://services-uswest2.sentinel-hub.com",
        "https://sh.dataspace.copernicus.eu/api/v1/byoc",
        "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/x",
        "http://localhost",
        "http://LOCALHOST:8080/x",
        "http://127.0.0.1:9000",
        "https://127.1.2.3",
        "http://[::1]:80/",
        "http://[0:0:0:0:0:0:0:1]",
        "http://[::ffff:127.0.0.1]:5000",
    ],
)
def test_built_in_deployments_and_this_machine_receive(url: str) -> None:
    assert may_receive(url, NOBODY).allowed


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test",
        "https://localhost.evil.test",
        "https://127.0.0.1.evil.test",
        "http://127.0.0.1@evil.test/",
        "https://services.sentinel-hub.com@evil.test/",
        "https://evil.test/@services.sentinel-hub.com",
        "https://user:pass@services.sentinel-hub.com",
        "https://services.sentinel-hub.com.evil.test",
        "https://evil.test/services.sentinel-hub.com",
        "https://evil.test#services.sentinel-hub.com",
        "https://evil.test?services.sentinel-hub.com",
        "https://evil.test\\@services.sentinel-hub.com",
        "https://services.sentinel-hub.com\\.evil.test",
        "https://services.sentinel-hub.com:443@evil.test",
        "https://services.sentinel-hub.com:8443",
        "http://services.sentinel-hub.com",
        "http://services.sentinel-hub.com:443",
        "https://services.sentinel-hub.com.",
        "http://localhost.",
        "http://localhost:0",
        "http://localhost:99999",
        "http://foo.localhost",
        "http://127.1",
        "http://2130706433",
        "http://0x7f.0.0.1",
        "http://0177.0.0.1",
        "http://127.0.0.01",
        "http://0.0.0.0",
        "http://[::]",
        "http://[::ffff:10.0.0.1]",
        "http://[fe80::1%25lo]",
        "http://[::1%25evil]",
        "http://169.254.169.254",
        "https://sеrvices.sentinel-hub.com",  # noqa: RUF001  a Cyrillic letter
        "https://services。sentinel-hub.com",
        "https://services.sentinel-hub.com\n.evil.test",
        " https://services.sentinel-hub.com",
        "https://services.sentinel-hub.com%2eevil.test",
        "https:services.sentinel-hub.com",
        "//services.sentinel-hub.com",
        "services.sentinel-hub.com",
        "ftp://services.sentinel-hub.com",
        "https://",
        "https:///path",
        "",
        "https://services.sentinel-hub.com/../x",
    ],
)
def test_everything_else_receives_nothing(url: str) -> None:
    verdict = may_receive(url, NOBODY)
    assert not verdict.allowed
    assert verdict.reason


def test_a_host_named_outside_receives_by_https_and_at_its_port_only() -> None:
    assert may_receive("https://sh.acme.test/oauth", VOUCHED).reason == "named by SHPLAN_ALLOW_HOST"
    assert not may_receive("http://sh.acme.test", VOUCHED).allowed
    assert not may_receive("https://sh.acme.test:8443", VOUCHED).allowed
    assert not may_receive("https://evil.sh.acme.test", VOUCHED).allowed


def test_plain_http_is_not_vouched_for() -> None:
    named = AllowedHosts(((Origin("http", "sh.acme.test", 80), "SH_BASE_URL"),))
    assert not may_receive("http://sh.acme.test", named).allowed


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("sh.acme.test", Origin("https", "sh.acme.test", 443)),
        ("SH.acme.test:8443", Origin("https", "sh.acme.test", 8443)),
        ("https://sh.acme.test/path", Origin("https", "sh.acme.test", 443)),
        ("http://localhost:80", Origin("http", "localhost", 80)),
    ],
)
def test_reads_an_allowed_host(text: str, origin: Origin) -> None:
    assert allowed_host(text) == origin


@pytest.mark.parametrize(
    "text", ["*", "*.acme.test", "a b", "a/b", "me@host", "https://", "ä.test"]
)
def test_refuses_what_is_no_host(text: str) -> None:
    with pytest.raises(BadUrlError):
        allowed_host(text)


@given(st.text(alphabet=st.sampled_from("htps:/@.\\#?[]%019azA-é \t\nlocavevi"), max_size=40))
def test_what_is_accepted_means_the_same_to_every_parser(text: str) -> None:
    """A URL that is read here has, for Python's own parser, the same host and port."""
    try:
        url = Url.parse(text)
    except BadUrlError:
        return
    parts = urlsplit(text)
    assert parts.hostname is not None
    assert url.origin.scheme == parts.scheme
    assert Url.parse(str(url)) == url
    if not text.partition("//")[2].startswith("["):
        assert url.origin.host == parts.hostname
    assert parts.username is None


@given(st.sampled_from(sorted(BUILT_IN_ORIGINS)), st.text(min_size=1, max_size=12))
def test_nothing_put_around_a_built_in_host_makes_another_host(origin: Origin, extra: str) -> None:
    """Whatever is added, an allowed URL still leads to an allowed host."""
    for url in (f"{extra}{origin}", f"{origin}{extra}", f"https://{extra}{origin.host}"):
        if may_receive(url, NOBODY).allowed:
            # Python's parser drops tabs and line breaks; such a URL must not come this far.
            assert urlsplit(url).hostname == origin.host
            assert "\n" not in url
            assert "\t" not in url
