"""Hypothesis profiles for the whole suite."""

import os

from hypothesis import settings

# On CI the same examples every time, and no deadline: its machines pause.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("local", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "local"))
