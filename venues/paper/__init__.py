"""The paper venue: real, recorded or synthetic market data, orders matched in this process."""

from venues.paper.venue import PaperVenue as PaperVenue
