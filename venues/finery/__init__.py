"""Finery Markets: dealer liquidity over one WebSocket, with native cancel-on-disconnect."""

from venues.finery.venue import FineryVenue as FineryVenue
