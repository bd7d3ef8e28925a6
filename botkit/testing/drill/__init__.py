"""A bot of any config, as a real process against simulated exchanges, broken in every way.

`botkit drill CONFIG` runs it; `botkit.testing.drill.cases` has what is done.
"""

from botkit.testing.drill.cases import CASES as CASES
from botkit.testing.drill.cases import Case as Case
from botkit.testing.drill.course import Drill as Drill
from botkit.testing.drill.course import Outcome as Outcome
from botkit.testing.drill.course import Planned as Planned
from botkit.testing.drill.course import plan as plan
from botkit.testing.drill.course import setting_of as setting_of
from botkit.testing.drill.stage import Setting as Setting
