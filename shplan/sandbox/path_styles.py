"""
The two styles of the service's paths, of which the sandbox serves both.

Source: the OpenAPI document (the newer style) and what released clients send (the older).
"""

from __future__ import annotations

# What stands in the older style alone (Batch V1, Metadata) keeps it.
NEW_STYLES = {
    "/api/v1/async": "/async/v1",
    "/api/v1/byoc": "/byoc/v1",
    "/api/v1/catalog/1.0.0": "/catalog/v1",
    "/api/v1/process": "/process/v1",
    "/api/v1/statistics/batch": "/statistics/batch/v1",
    "/api/v1/statistics": "/statistics/v1",
    "/api/v1/zarr": "/zarr/v1",
    "/api/v2/batch": "/batch/v2",
}


def plain_path(path: str) -> str:
    """One spelling of a path: the newer style, without a trailing slash."""
    for old, new in NEW_STYLES.items():
        if path == old or path.startswith(old + "/"):
            path = new + path.removeprefix(old)
            break
    return path.rstrip("/") or "/"
