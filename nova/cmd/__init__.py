"""The daemons' and tools' entry points, one small main() each.

To import any of them chooses native or green threads first of all (nova.backend).
"""

from nova import backend

backend.choose()
