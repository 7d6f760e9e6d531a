from __future__ import annotations

import pytest

from shplan.api.deployment import BUILT_IN, SANDBOX, custom
from shplan.api.hosts import AllowedHosts, BadUrlError, may_receive


def test_built_in_deployments_have_the_published_urls() -> None:
    urls = {name: (d.base_url, d.token_url) for name, d in BUILT_IN.items() if name != "sandbox"}
    main = "https://services.sentinel-hub.com/auth/realms/main/protocol/openid-connect/token"
    cdse = "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token"
    assert urls == {
        "aws-eu-central-1": ("https://services.sentinel-hub.com", main),
        "aws-us-west-2": ("https://services-uswest2.sentinel-hub.com", main),
        "cdse": ("https://sh.dataspace.copernicus.eu", cdse),
    }


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_deployments_may_receive_credentials(name: str) -> None:
    deployment = BUILT_IN[name]
    assert may_receive(deployment.base_url, AllowedHosts()).allowed
    assert may_receive(deployment.token_url, AllowedHosts()).allowed


@pytest.mark.parametrize(
    ("published", "served"),
    [
        ("/process/v1", "/api/v1/process"),
        ("/catalog/v1/search", "/api/v1/catalog/1.0.0/search"),
        ("/async/v1/process/{requestId}", "/api/v1/async/process/{requestId}"),
        ("/batch/v2/process/{taskId}/start", "/api/v2/batch/process/{taskId}/start"),
        ("/batch/v2/tilinggrids", "/api/v2/batch/tilinggrids"),
        ("/statistics/v1", "/api/v1/statistics"),
        ("/statistics/batch/v1/{requestId}", "/api/v1/statistics/batch/{requestId}"),
        ("/byoc/v1/collections", "/api/v1/byoc/collections"),
        ("/zarr/v1/collections/{collectionId}", "/api/v1/zarr/collections/{collectionId}"),
        ("/api/v1/dataimport/orders", "/api/v1/dataimport/orders"),
        ("/process/v11", "/process/v11"),
    ],
)
def test_published_paths_are_served_in_the_released_style(published: str, served: str) -> None:
    assert BUILT_IN["cdse"].served(published) == served


def test_identity_is_the_name_or_the_origin() -> None:
    assert BUILT_IN["cdse"].identity == "cdse"
    here = custom(base_url="https://SH.acme.test:8443/x/", token_url="https://sh.acme.test/token")
    assert here.identity == "https://sh.acme.test:8443"
    assert here.base_url == "https://sh.acme.test:8443/x"
    assert SANDBOX.of_instance("i-1").identity == "sandbox:i-1"


def test_custom_deployment_needs_plain_urls() -> None:
    with pytest.raises(BadUrlError):
        custom(base_url="https://a@b.test", token_url="https://b.test")
