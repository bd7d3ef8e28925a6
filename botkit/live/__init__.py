"""A run in real time: venues and timers served by trio tasks."""

from botkit.live.control import ControlSocket as ControlSocket
from botkit.live.durable import DurableDispatcher as DurableDispatcher
from botkit.live.guardian import End as End
from botkit.live.guardian import Watch as Watch
from botkit.live.lease import Lease as Lease
from botkit.live.links import serve_links as serve_links
from botkit.live.operating import Operating as Operating
from botkit.live.pulse import GuardianLink as GuardianLink
from botkit.live.pulse import Process as Process
from botkit.live.pulse import Word as Word
from botkit.live.pulse import beat_every_s as beat_every_s
