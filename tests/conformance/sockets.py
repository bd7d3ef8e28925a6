"""`check_venue()` over real sockets: an adapter beside its simulator on this machine."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trustme

from botkit.testing import VenueUnderTest, check_venue
from botkit.testing.simulated import SimulatedVenueCase, open_simulated

__all__ = ["conform_over_tcp", "conform_over_tls"]

QUIET_S = 0.3  # of the machine's own time, which nobody wants to wait for


async def conform_over_tcp(case: SimulatedVenueCase) -> None:
    """Check over loopback TCP."""

    @asynccontextmanager
    async def open_venue() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case, "tcp") as pair:
            yield attrs.evolve(pair.subject, quiet_s=QUIET_S)

    await check_venue(open_venue)


async def conform_over_tls(case: SimulatedVenueCase) -> None:
    """Check over loopback TLS, verified against an authority of the moment."""
    authority = trustme.CA()
    server_ssl = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_ssl)
    client_ssl = ssl.create_default_context()
    authority.configure_trust(client_ssl)

    @asynccontextmanager
    async def open_venue() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(
            case, "tls", server_ssl=server_ssl, client_ssl=client_ssl
        ) as pair:
            yield attrs.evolve(pair.subject, quiet_s=QUIET_S)

    await check_venue(open_venue)
