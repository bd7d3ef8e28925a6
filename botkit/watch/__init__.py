"""What looks at a run from beside and tells others: alerts, a heartbeat, metrics.

It only looks: nothing here touches the engine, and nothing in the engine knows of it.
"""

from botkit.watch.lookout import Lookout as Lookout
from botkit.watch.lookout import problems_of as problems_of
