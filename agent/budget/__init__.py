"""How much of each picture the model sees, so that a long conversation keeps fitting, and what is said about it.

`policy.py` decides from plain numbers, `costs.py` counts them, `fitting.py` composes, `uses.py` knows what was asked
about lately, `tiers.py` holds what was decided and reads it back from the branch, `summary.py` has old turns summed
up, `notices.py` tells what changed, `room.py` is the limit itself.
"""

from .costs import Costs
from .fitting import Fitted, Fitter, Limits, OldTurns
from .policy import Choice, Policy, Room, Standing, least_recent_first
from .room import fits, require_fit
from .tiers import Tiers

__all__ = [
    "Choice",
    "Costs",
    "Fitted",
    "Fitter",
    "Limits",
    "OldTurns",
    "Policy",
    "Room",
    "Standing",
    "Tiers",
    "fits",
    "least_recent_first",
    "require_fit",
]
