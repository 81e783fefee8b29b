"""Keys of the bucket, from the environment alone: the names of ``conf/base/credentials.yml``."""

import os
from typing import Any

from universal_simulator.support.places import refuse_no_scheme


def bucket_options() -> dict[str, Any]:
    """Return what s3fs needs; what is unset is searched in the usual places (``AWS_ACCESS_KEY_ID``, ``~/.aws``)."""
    refuse_no_scheme("B2_ENDPOINT", os.environ.get("B2_ENDPOINT"))
    client = {"endpoint_url": os.environ.get("B2_ENDPOINT"), "region_name": os.environ.get("B2_REGION")}
    options = {"key": os.environ.get("B2_KEY"), "secret": os.environ.get("B2_SECRET")}
    given: dict[str, Any] = {name: value for name, value in options.items() if value}
    return given | {"client_kwargs": {name: value for name, value in client.items() if value}}
