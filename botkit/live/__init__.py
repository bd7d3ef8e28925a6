"""A run in real time: venues and timers served by trio tasks."""

from botkit.live.control import ControlSocket as ControlSocket
from botkit.live.durable import DurableDispatcher as DurableDispatcher
from botkit.live.links import serve_links as serve_links
from botkit.live.operating import Operating as Operating
