"""A job for continuous integration: fails if a document of a folder has a picture without a good alternative text."""

from __future__ import annotations

import sys

from looktwice.agent.access.alt import check_alternatives, documents_in

found = [(path, fault) for path in documents_in(sys.argv[1:] or ["docs"]) for fault in check_alternatives(path)]
for path, fault in found:
    print(f"{path}, {fault.place.where}: {fault.said}")
sys.exit(1 if found else 0)
