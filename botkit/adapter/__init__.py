"""What venue adapters share between the engine's plain calls and their own sockets."""

from botkit.adapter.attended import attended as attended
from botkit.adapter.attended import first_of as first_of
from botkit.adapter.dry_run import DryRunVenue as DryRunVenue
from botkit.adapter.dry_run import MarketDataVenue as MarketDataVenue
from botkit.adapter.network import Network as Network
from botkit.adapter.outbox import Outbox as Outbox
from botkit.adapter.outbox import Outgoing as Outgoing
from botkit.adapter.outbox import send_failed as send_failed
from botkit.adapter.persistence import Persistence as Persistence
from botkit.adapter.readiness import Readiness as Readiness
from botkit.adapter.simulated import Mailbox as Mailbox
from botkit.adapter.simulated import Member as Member
from botkit.adapter.simulated import SimulatedMarket as SimulatedMarket
from botkit.adapter.simulated import Simulator as Simulator
from botkit.adapter.simulated import SimulatorSetup as SimulatorSetup
from botkit.adapter.simulated import TradedAs as TradedAs
