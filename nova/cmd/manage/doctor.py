"""nova-manage doctor: looks at an installation from here, and says of each thing that is wrong what to do about it."""

import argparse
import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from oslo_config import cfg

from nova import concurrency, errors, readiness
from nova.clients import reachable
from nova.clock import utcnow
from nova.cmd import status
from nova.cmd.manage.commands import Group, open_database, open_placement
from nova.conductor.reconcilers.allocations import idle_consumers
from nova.db import hosts, open_operations
from nova.db.operations import LEFT
from nova.rpc import conductor, reach, scheduler
from nova.rpc.bus import connect

# An operation that is older waits for somebody.
_LONG = datetime.timedelta(hours=1)
_PATIENCE_S = readiness.LOOK_S + 1
_EXPIRES_SOON = datetime.timedelta(days=30)
_DISABLED_BY_ITSELF = "AUTO:"


class Finding(NamedTuple):
    """is_failure: something does not work now; else it may not for long, or is left over. remedy: what to do about it."""

    subject: str
    is_failure: bool
    text: str
    remedy: str


def add(groups: Any) -> None:
    made = Group(groups, "doctor", "what is wrong with this installation").add("check", check)
    made.add_argument("--json", action="store_true", help="as JSON, for programs")


def check(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print what is wrong with this installation as seen from here, and what to do about it: 2 for what does not work, 1 for the rest."""
    found = [finding for look in LOOKS for finding in look(conf)]
    if arguments.json:
        print(json.dumps([finding._asdict() for finding in found]))
    for finding in () if arguments.json else found:
        print(f"{'FAILS' if finding.is_failure else 'Look'}: {finding.subject}: {finding.text}\n    {finding.remedy}")
    if not found and not arguments.json:
        print("Nothing is wrong as far as this machine can see.")
    return 2 if any(finding.is_failure for finding in found) else int(bool(found))


def _upgrade(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """What nova-status looks at, too: schema, Placement, policy, options."""
    for name, look in status.CHECKS:
        result = look(conf)
        if result.code is not status.Code.SUCCESS:
            is_failure = result.code is status.Code.FAILURE
            yield Finding(name, is_failure, result.details or "", "See nova-status upgrade check.")


def _neighbours(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Services around the cloud, daemons behind the bus, and the disk."""
    checks = [*reachable.checks(conf, "glance", "neutron", "placement"), *reachable.token_checks(conf)]
    bus = connect(conf)
    # A bus inside of nova-all is out of reach for everybody else.
    if not str(conf.transport_url).startswith("local:"):
        checks += [reach.check(bus, topic) for topic in (conductor.TOPIC, scheduler.TOPIC)]
    checks.append(readiness.disk(conf.state_path, conf.health_free_disk_mb))
    for one in {one.name: one for one in checks}.values():
        try:
            # A broker that is away would be waited for without end.
            concurrency.call_within(_PATIENCE_S, one.look)
        except (errors.DomainError, TimeoutError) as error:
            reason = "it does not answer"
            if isinstance(error, errors.DomainError):
                reason = str(error.details.get("reason") or error.message)
            yield Finding(one.service, True, reason, f"Daemons that need it tell when it is back: /readyz, {one.name}.")


def _daemons(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    for service in open_database(conf).read(hosts.services):
        name = f"{service.binary} on {service.host}"
        if service.is_forced_down:
            remedy = f"openstack compute service set --up {service.host} nova-compute, once the machine is whole again."
            yield Finding(name, False, "it is forced down", remedy)
        elif not service.is_up:
            remedy = f"Start it; if it will never be back: openstack compute service delete {service.uuid}."
            yield Finding(name, True, f"it has not been heard for {conf.service_down_time} s or more", remedy)
        if service.is_disabled and (service.disabled_reason or "").startswith(_DISABLED_BY_ITSELF):
            yield Finding(name, True, str(service.disabled_reason), "It is enabled by itself when that is mended.")


def _operations(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    now = utcnow()
    for one in open_database(conf).read(open_operations.find):
        name, remedy = f"{one.name} of server {one.instance_uuid}", f"nova-manage operation show {one.uuid}"
        if one.state == LEFT:
            yield Finding(name, False, f"has left {', '.join(one.left)}: {one.reason}", remedy)
        elif now - one.created_at > _LONG:
            yield Finding(name, True, f"is under way since {one.created_at:%Y-%m-%d %H:%M} UTC: {one.reason}", remedy)


def _allocations(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    try:
        for consumer in idle_consumers(open_database(conf), open_placement(conf)):
            text = f"holds {consumer.held} for no server"
            yield Finding(f"Consumer {consumer.uuid}", False, text, "nova-manage placement audit --verbose")
    except errors.Unavailable:
        # Said by what looks at Placement.
        return


def _certificates(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    path = conf.wsgi.ssl_cert_file
    if not path:
        return
    try:
        chain = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        yield Finding(path, True, f"cannot be read: {error}", "[wsgi] ssl_cert_file names the certificate of the APIs.")
        return
    now = datetime.datetime.now(datetime.UTC)
    for end in sorted(one.not_valid_after_utc for one in chain)[:1]:
        if end < now + _EXPIRES_SOON:
            text = f"{'has expired' if end < now else 'expires'} at {end:%Y-%m-%d %H:%M} UTC"
            yield Finding(path, end < now, text, "Put a new one in its place, and restart the APIs.")


LOOKS: tuple[Callable[[cfg.ConfigOpts], Iterator[Finding]], ...] = (
    _upgrade,
    _neighbours,
    _daemons,
    _operations,
    _allocations,
    _certificates,
)
