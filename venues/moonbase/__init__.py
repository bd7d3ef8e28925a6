"""Moonbase: Phoenix channels over WebSocket, signed amounts, twenty joins an hour."""

from venues.moonbase.venue import MoonbaseVenue as MoonbaseVenue
