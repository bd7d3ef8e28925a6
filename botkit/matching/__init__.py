"""Orders against market data: the fill model of paper venues, dry runs and backtests.

No I/O, no clock, no tasks: requests and market events enter by plain calls and what becomes of
them is delivered. `botkit.matching.paper` says in which order things happen, `floor` and
`market` what fills, `queue` who is ahead, `desk` who pays.
"""

from botkit.matching.floor import SelfTrade as SelfTrade
from botkit.matching.latency import ConstantLatency as ConstantLatency
from botkit.matching.latency import Latency as Latency
from botkit.matching.latency import LogNormalLatency as LogNormalLatency
from botkit.matching.paper import PaperMatcher as PaperMatcher
from botkit.matching.queue import ProbabilisticQueue as ProbabilisticQueue
from botkit.matching.queue import QueueModel as QueueModel
from botkit.matching.queue import RiskAverseQueue as RiskAverseQueue
