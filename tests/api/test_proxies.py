from __future__ import annotations

import pytest

from shplan.api.hosts import Origin
from shplan.api.proxies import proxies_for

URL = "https://services.sentinel-hub.com/oauth/token"
SERVICE = Origin("https", "services.sentinel-hub.com", 443)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ({"HTTP_PROXY": "http://proxy:1"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "a, .sentinel-hub.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "sentinel-hub.com:443"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "sentinel-hub.com:8443"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "hub.com,,"}, "http://p:1"),
    ],
)
def test_proxy_follows_the_usual_variables(environment: dict[str, str], proxy: str | None) -> None:
    assert proxies_for([URL], environment).get(SERVICE) == proxy


def test_plain_http_and_loopback_never_go_through_a_proxy() -> None:
    urls = ["http://127.0.0.1:8080", "https://localhost:8443", "http://other.test"]
    assert proxies_for(urls, {"ALL_PROXY": "http://proxy:1"}) == {}
