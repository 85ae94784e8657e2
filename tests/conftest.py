"""What all tests share: pictures are drawn without a screen."""

import os

os.environ.setdefault("MPLBACKEND", "agg")
