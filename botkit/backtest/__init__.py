"""A run as fast as it goes: a plain loop over recorded or synthetic market data."""

from botkit.backtest.loop import drive as drive
