# SPDX-License-Identifier: Apache-2.0
"""Which data plane a host uses, by the name of the setting `dataplane.backend`."""

from pathlib import Path

from ikeway.dataplane.lasting import LastingEngine
from ikeway.dataplane.null import NullDataPlane
from ikeway.dataplane.port import DataPlane, PlaneConfig
from ikeway.dataplane.xfrm import XfrmDataPlane
from ikeway.model.errors import ConfigError


async def open_plane(backend: str, run_dir: Path, config: PlaneConfig) -> DataPlane:
    """Return the data plane of that name, ready to install Child SAs.

    Raises:
        ConfigError: there is no data plane of that name.
        HostError: it cannot be had on this machine.
    """
    match backend:
        case "engine":
            return await LastingEngine.start(run_dir, config)
        case "null":
            return await NullDataPlane.start(config)
        case "xfrm":
            return await XfrmDataPlane.start(config)
        case _:
            names = "engine, xfrm and null"
            raise ConfigError(f"no data plane is called {backend!r}; there are {names}")
