"""What holds for every test."""

from __future__ import annotations

import os

# Set before torch is imported. Models this small answer faster on one thread, above all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
