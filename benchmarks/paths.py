"""Where things are. Imported first, it also keeps `venues` the package, not `venues.py` here.

The folder of a script comes first where modules are looked for, and one of the scripts is called as
the package of the adapters is.
"""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != BENCHMARKS]
