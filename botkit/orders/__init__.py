"""Orders: where each one stands, what may still fill, and what the venue must be asked."""

from botkit.orders.ids import ClientOrderIds as ClientOrderIds
from botkit.orders.pursuit import OrderTiming as OrderTiming
from botkit.orders.resolving import Standing as Standing
from botkit.orders.resolving import standing_fill as standing_fill
from botkit.orders.resolving import standing_problem as standing_problem
from botkit.orders.resolving import word_problem as word_problem
from botkit.orders.shown import shown_levels as shown_levels
from botkit.orders.state import TRANSITIONS as TRANSITIONS
from botkit.orders.state import Desk as Desk
from botkit.orders.state import Order as Order
from botkit.orders.state import Outcome as Outcome
from botkit.orders.tracker import Orders as Orders
