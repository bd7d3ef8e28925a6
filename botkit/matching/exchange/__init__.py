"""The price-time exchange that all simulated venues share: pure, synchronous, deterministic.

No I/O, no clock, no random source: time and generators are handed in. `exchange` is the door,
`messages` what goes in and comes out, `admission` and `checks` what is refused, `plan` who trades
with whom, `desk` what changes, `book` and `orders` the records, `money` the integers,
`counterparties` limits by pair of accounts, `traders` a market that lives.
"""

from botkit.matching.exchange.admission import ExchangeRules as ExchangeRules
from botkit.matching.exchange.counterparties import CounterpartyPosition as CounterpartyPosition
from botkit.matching.exchange.exchange import Exchange as Exchange
from botkit.matching.exchange.messages import BalanceChanged as BalanceChanged
from botkit.matching.exchange.messages import BookLevelChange as BookLevelChange
from botkit.matching.exchange.messages import BookOrderChange as BookOrderChange
from botkit.matching.exchange.messages import ExchangeEvent as ExchangeEvent
from botkit.matching.exchange.messages import Execution as Execution
from botkit.matching.exchange.messages import Leg as Leg
from botkit.matching.exchange.messages import OrderAccepted as OrderAccepted
from botkit.matching.exchange.messages import OrderCanceled as OrderCanceled
from botkit.matching.exchange.messages import OrderExpired as OrderExpired
from botkit.matching.exchange.messages import OrderReduced as OrderReduced
from botkit.matching.exchange.messages import OrderReplaced as OrderReplaced
from botkit.matching.exchange.messages import OrderState as OrderState
from botkit.matching.exchange.messages import OrderTerms as OrderTerms
from botkit.matching.exchange.messages import PublicTrade as PublicTrade
from botkit.matching.exchange.messages import Rejection as Rejection
from botkit.matching.exchange.messages import RequestRejected as RequestRejected
from botkit.matching.exchange.messages import StopTriggered as StopTriggered
from botkit.matching.exchange.orders import Account as Account
from botkit.matching.exchange.orders import AccountBalance as AccountBalance
from botkit.matching.exchange.orders import Market as Market
from botkit.matching.exchange.orders import Ticker as Ticker
from botkit.matching.exchange.traders import TraderParams as TraderParams
from botkit.matching.exchange.traders import Traders as Traders
from botkit.matching.exchange.words import BookAction as BookAction
from botkit.matching.exchange.words import CancelReason as CancelReason
from botkit.matching.exchange.words import FeeIn as FeeIn
from botkit.matching.exchange.words import RejectReason as RejectReason
from botkit.matching.exchange.words import SelfTradeRule as SelfTradeRule
