"""The only road to the network: WebSocket links, HTTP, reconnecting, budgets, and a server.

Venues and their simulators import this; it knows nothing of orders or the engine.
"""

from botkit.transport.budget import Budget as Budget
from botkit.transport.budget import BudgetedVenue as BudgetedVenue
from botkit.transport.budget import RateLimit as RateLimit
from botkit.transport.dialing import Dial as Dial
from botkit.transport.dialing import Target as Target
from botkit.transport.dialing import connect as connect
from botkit.transport.http import HttpLimits as HttpLimits
from botkit.transport.http import HttpLink as HttpLink
from botkit.transport.http import HttpReply as HttpReply
from botkit.transport.http import open_http as open_http
from botkit.transport.inflating import inflate as inflate
from botkit.transport.server import HttpRequest as HttpRequest
from botkit.transport.server import Server as Server
from botkit.transport.server import ServerLimits as ServerLimits
from botkit.transport.server import open_server as open_server
from botkit.transport.streams import GuardedStream as GuardedStream
from botkit.transport.streams import PushbackStream as PushbackStream
from botkit.transport.streams import abort as abort
from botkit.transport.supervise import BackOff as BackOff
from botkit.transport.supervise import supervise as supervise
from botkit.transport.ws import WsLimits as WsLimits
from botkit.transport.ws import WsLink as WsLink
from botkit.transport.ws import open_ws as open_ws
from botkit.transport.ws import serve_ws as serve_ws
