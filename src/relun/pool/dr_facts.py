"""What a report says of the pool and of relun themselves."""

from importlib.metadata import PackageNotFoundError, version

from relun.pool.connection import Connection
from relun.pool.dr_report import PoolFacts

_VERSIONS = (
    "product_brand",
    "product_version",
    "build_number",
    "xapi",
    "xapi_build",
    "xen",
    "linux",
)


def pool_facts(connection: Connection) -> PoolFacts:
    """Which pool this is, and what runs on its master."""
    (pool,) = connection.records("pool").values()
    master = connection.record("host", pool["master"])
    software = master.get("software_version", {})
    versions = {key: software[key] for key in _VERSIONS if software.get(key)}
    return PoolFacts(connection.address.url, pool["name_label"], master["name_label"], versions)


def own_version() -> str:
    """Return relun's version."""
    try:
        return version("relun")
    except PackageNotFoundError:  # a source tree that is not installed
        return "unknown"
