"""BlinkTrade: FIX 4.4 words as JSON over one WebSocket, an order-level book, silence on errors."""

from venues.blinktrade.venue import BlinkTradeVenue as BlinkTradeVenue
