"""The interface: app, screens, widgets, themes."""

import os

os.environ.setdefault("TEXTUAL_FPS", "120")  # how long a key that was typed waits to be drawn, not how often
