"""A whole Cinder in one process, for an embedded cloud, which has no message broker: API, scheduler and volume service.

They talk over this project's bus inside one process (transport_url = local://). gunicorn serves `application`.
"""

import os

# Native threads need no pool that keeps them from blocking a hub; eventlet's would wait for a hub that is not theirs.
os.environ["EVENTLET_THREADPOOL_SIZE"] = "0"

from cinder import monkey_patch

monkey_patch.patch("threading")

from cinder import service
from cinder.common import constants
from cinder.wsgi import wsgi
from oslo_config import cfg
from oslo_db import exception as database_errors
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import exc as sql_errors


@exc_filters.filters("sqlite", sql_errors.OperationalError, r".*database is locked")
def _try_again(error, match, engine_name, is_disconnect):
    """SQLite refuses at once who has read what another one wrote since: Cinder begins again only after a deadlock."""
    raise database_errors.DBDeadlock(error)


# Registered where the volume service's own program would do it.
cfg.CONF.register_opt(cfg.StrOpt("backend_host"), group="files")

application = wsgi.initialize_application()
# Cinder knows one service a process and reports for the last one alone; here they live and die together.
cfg.CONF.set_override("service_down_time", 10**9)
_volume = service.Service.create(binary=constants.VOLUME_BINARY, host=f"{cfg.CONF.host}@files", service_name="files")
_scheduler = service.Service.create(binary=constants.SCHEDULER_BINARY)
# The scheduler's start waits until a volume service has told what it holds.
_volume.start()
_scheduler.start()
