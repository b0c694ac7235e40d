"""The message bus: oslo.messaging's transport with this project's defaults, and what its failures are called."""

import logging

import oslo_messaging
from kombu.exceptions import KombuError
from oslo_concurrency import lockutils
from oslo_concurrency import opts as concurrency_options
from oslo_config import cfg
from oslo_messaging import opts as messaging_options
from oslo_messaging._metrics import client as messaging_metrics
from oslo_messaging._tracing import client as messaging_tracing

from nova import errors, neighbours
from nova.conf import BadConfiguration

# oslo.messaging lets errors of kombu through where it makes a connection.
FAILURES = (oslo_messaging.MessagingException, oslo_messaging.MessageUndeliverable, KombuError)


# What the log calls it.
BUS = "The message bus"

_LONGEST_PAUSE_S = 4
_DRIVER_LOG = logging.getLogger("oslo.messaging._drivers.impl_rabbit")
# In what the driver says of a broker that it does not reach.
_AWAY = (
    *("Connection failed", "is unreachable", "Failed to publish message", "Failed to consume", "Unable to connect"),
    *("A recoverable connection/channel error", "Unexpected error during heartbeat"),
)


class BusFailure(errors.Unavailable):
    """The other side did not answer in time, or the bus did not take the message."""


class NotAnswered(BusFailure, errors.MaybeDone):
    """The bus took the call, and no answer came in time."""


def connect(conf: cfg.ConfigOpts) -> oslo_messaging.Transport:
    """The bus named by [DEFAULT] transport_url.

    RabbitMQ's queues are quorum queues with stable names unless the file says otherwise: they
    survive a broker, and a restart leaves none behind. Their exchange is this service's own: others that share
    the broker declare theirs, `openstack` by default, otherwise, and one exchange cannot be both.
    Raises BadConfiguration for a URL that names no bus.
    """
    for group, options in messaging_options.list_opts():
        conf.register_opts(options, group=group)
    # oslo.messaging itself registers these on oslo.config's global alone, and reads them from ours.
    conf.register_opts(messaging_metrics.oslo_messaging_metrics, group="oslo_messaging_metrics")
    conf.register_opts(messaging_tracing.oslo_messaging_tracing, group="oslo_messaging_tracing")
    # The names of reply queues are counted in a file under a lock, whose path is read from the global too. To set
    # that changes the option itself, which then could not be registered again in the same process.
    if "oslo_concurrency" not in conf:
        for group, options in concurrency_options.list_opts():
            conf.register_opts(options, group=group)
    lockutils.set_defaults(conf.oslo_concurrency.lock_path or f"{conf.state_path}/tmp")
    for option in ("rabbit_quorum_queue", "rabbit_transient_quorum_queue", "use_queue_manager"):
        conf.set_default(option, True, group="oslo_messaging_rabbit")
    conf.set_default("control_exchange", "nova")
    # Whoever waits for a broker that was away for long must not miss its return for half a minute.
    conf.set_default("rabbit_interval_max", _LONGEST_PAUSE_S, group="oslo_messaging_rabbit")
    _DRIVER_LOG.addFilter(_tell_once)
    try:
        return oslo_messaging.get_rpc_transport(conf)
    except (oslo_messaging.DriverLoadFailure, oslo_messaging.InvalidTransportURL, ValueError) as error:
        # Its value holds a password.
        raise BadConfiguration("[DEFAULT] transport_url: it must be rabbit://USER:PASSWORD@HOST:PORT/VHOST") from error


def _tell_once(record: logging.LogRecord) -> bool:
    """The driver says at each try, for each of its connections, that the broker is away: that is told once."""
    if not any(words in str(record.msg) for words in _AWAY):
        return "Reconnected to AMQP server" not in str(record.msg)
    neighbours.lost(BUS, record.getMessage())
    return False


def timeout_part(bus: oslo_messaging.Transport, part: float) -> float:
    """Seconds for a call whose caller is waited for itself: a part of [DEFAULT] rpc_response_timeout.

    Whoever waits longer than its own caller speaks to nobody.
    """
    return float(bus.conf.rpc_response_timeout) * part
