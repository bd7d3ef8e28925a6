"""What the market looks like now, per instrument, and bars built from its trades."""

from botkit.marketdata.bars import BarBuilder as BarBuilder
from botkit.marketdata.market import DerivedQuote as DerivedQuote
from botkit.marketdata.market import Market as Market
