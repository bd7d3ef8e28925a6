"""Peatio, both generations: a feed over WebSocket, orders over REST, a JWT to sign in."""

from venues.peatio.venue import PeatioVenue as PeatioVenue
