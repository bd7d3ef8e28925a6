"""DigiFinex spot: market data and own orders by WebSocket, orders sent by REST, no client ids."""

from venues.digifinex.venue import DigiFinexVenue as DigiFinexVenue
