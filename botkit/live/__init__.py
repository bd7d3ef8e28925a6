"""A run in real time: venues and timers served by trio tasks."""

from botkit.live.durable import DurableDispatcher as DurableDispatcher
from botkit.live.links import serve_links as serve_links
