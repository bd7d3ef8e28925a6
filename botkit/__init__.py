"""botkit: trading bots that can be left alone.

This module brings the words a strategy's author needs. Start with `Strategy`.
"""

from botkit.errors import BotkitError as BotkitError
from botkit.errors import OrdersInDoubtError as OrdersInDoubtError
from botkit.model import Bar as Bar
from botkit.model import Book as Book
from botkit.model import BookDelta as BookDelta
from botkit.model import BookSnapshot as BookSnapshot
from botkit.model import Fill as Fill
from botkit.model import Instrument as Instrument
from botkit.model import Liquidity as Liquidity
from botkit.model import OrdStatus as OrdStatus
from botkit.model import OrdType as OrdType
from botkit.model import Quote as Quote
from botkit.model import Side as Side
from botkit.model import TimeInForce as TimeInForce
from botkit.model import Trade as Trade
from botkit.model import VenueStatus as VenueStatus
from botkit.orders import Order as Order
from botkit.scope import OrderScope as OrderScope
from botkit.strategy import Strategy as Strategy
