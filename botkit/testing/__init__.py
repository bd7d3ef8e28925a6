"""For tests of strategies, venues and rules, ours and yours.

`run_strategy` runs one strategy over a scripted or synthetic market on the real engine and the
real paper venue; the builders make the market data, orders and reports that tests are full of.
"""

from botkit.testing.builders import START_NS as START_NS
from botkit.testing.builders import SYMBOL as SYMBOL
from botkit.testing.builders import build_context as build_context
from botkit.testing.builders import build_instrument as build_instrument
from botkit.testing.builders import build_new_order as build_new_order
from botkit.testing.builders import build_quote as build_quote
from botkit.testing.builders import build_report as build_report
from botkit.testing.builders import build_snapshot as build_snapshot
from botkit.testing.builders import build_trade as build_trade
from botkit.testing.builders import build_venue_status as build_venue_status
from botkit.testing.builders import time_ns as time_ns
from botkit.testing.conformance import CheckReport as CheckReport
from botkit.testing.conformance import CheckResult as CheckResult
from botkit.testing.conformance import VenueUnderTest as VenueUnderTest
from botkit.testing.conformance import check_venue as check_venue
from botkit.testing.conformance import examine_venue as examine_venue
from botkit.testing.harness import LogLine as LogLine
from botkit.testing.harness import RunResult as RunResult
from botkit.testing.harness import Scripted as Scripted
from botkit.testing.harness import run_strategy as run_strategy
from botkit.testing.memory_journal import MemoryJournal as MemoryJournal
from botkit.testing.simulation import SimulationResult as SimulationResult
from botkit.testing.simulation import simulate as simulate
