"""Positions, profit, fees and balances, per strategy and instrument: exact Decimals."""

from botkit.portfolio.balances import BalanceCheck as BalanceCheck
from botkit.portfolio.balances import Difference as Difference
from botkit.portfolio.carrying import carried_positions as carried_positions
from botkit.portfolio.ledger import Portfolio as Portfolio
from botkit.portfolio.ledger import PositionView as PositionView
from botkit.portfolio.position import QuoteOf as QuoteOf
from botkit.portfolio.rates import Rate as Rate
from botkit.portfolio.rates import Rates as Rates
from botkit.portfolio.totals import Total as Total
from botkit.portfolio.totals import total_of as total_of
