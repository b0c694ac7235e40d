"""The metadata API for a WSGI server such as uwsgi or gunicorn: the callable is `application`.

The configuration is the one that nova-api-metadata reads without --config-file, or the files that
NOVA_CONFIG_FILES names, separated by colons.
"""

import os

from nova import log_records
from nova.api.metadata import application as make_application
from nova.conf import load
from nova.rpc.bus import connect
from nova.rpc.conductor import conductor_client

_files = os.environ.get("NOVA_CONFIG_FILES")
_conf = load([], _files.split(":") if _files else None)
log_records.setup(_conf, "nova-api-metadata")

application = make_application(_conf, conductor_client(connect(_conf)))
