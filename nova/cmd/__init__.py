"""The daemons' and tools' entry points, one small main() each.

To import any of them chooses native or green threads first of all (nova.backend).
"""

import sys
import warnings

from nova import backend

# What libraries tell developers is nothing for an operator's terminal, unless it is asked for: python -W default.
if not sys.warnoptions:
    warnings.simplefilter("ignore")

backend.choose()
