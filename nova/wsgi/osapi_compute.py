"""The Compute API for uwsgi, gunicorn and the like: nova.wsgi.osapi_compute:application.

Configured by the file in NOVA_CONF (or /etc/nova/nova.conf).
"""

import os

from nova import conf as configuration
from nova.api import compute
from nova.conductor import client as conductor_client
from nova.messaging import rpc

_file = os.environ.get("NOVA_CONF")
_conf = configuration.load([], [_file] if _file else None)
application = compute.application(_conf, conductor_client.over_bus(rpc.transport(_conf)))
