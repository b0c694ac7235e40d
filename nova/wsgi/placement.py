"""The Placement service for a WSGI server such as uwsgi or gunicorn: the callable is `application`.

The configuration is the one that nova-placement-api reads without --config-file, or the files that
NOVA_CONFIG_FILES names, separated by colons.
"""

import os

from nova import log_records
from nova.conf import load
from nova.placement import application as make_application

_files = os.environ.get("NOVA_CONFIG_FILES")
_conf = load([], _files.split(":") if _files else None)
log_records.setup(_conf, "nova-placement-api")

application = make_application(_conf)
