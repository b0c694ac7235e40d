"""nova-manage support-bundle: what somebody needs who is to help from afar, in one file without secrets.

Each part is gathered by itself: one that cannot be says why, and the others are there.
"""

import argparse
import contextlib
import datetime
import io
import json
import os
import platform
import socket
import tarfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import msgspec
import requests
from oslo_concurrency import opts as concurrency_options
from oslo_config import cfg
from oslo_messaging import opts as messaging_options

from nova import concurrency, errors, release
from nova.clock import utcnow
from nova.cmd.manage import capacity, doctor, log_tails
from nova.cmd.manage.commands import common_arguments, open_database
from nova.cmd.manage.secret_mask import Mask, secrets_of, shown
from nova.conf import files, known, options_of_files
from nova.conf.files import Setting
from nova.db import hosts, migrations, open_operations

# A neighbour that is away is waited for no longer.
_PART_S = 60.0
_ANSWER_S = 3.0
_MOST_WORKERS = 64
_EVERYWHERE = ("0.0.0.0", "::")


def add(groups: Any) -> None:
    made: argparse.ArgumentParser = groups.add_parser(
        "support-bundle", help=bundle.__doc__, parents=[common_arguments()]
    )
    made.set_defaults(command=bundle)
    made.add_argument("--output", metavar="FILE", type=Path, help="the file to write; it must not exist")


def bundle(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Write what support needs, without secrets: versions, configuration, services, operations, capacity and logs."""
    name = f"nova-support-{socket.gethostname()}-{utcnow():%Y%m%dT%H%M%S}"
    path: Path = arguments.output or Path(f"{name}.tar.gz")
    settings = list(_settings(conf))
    options = _options(settings)
    mask = Mask(secrets_of([*settings, *_in_force(conf, options)], options))
    parts: dict[str, Callable[[], str]] = {
        "versions.txt": lambda: _versions(conf),
        "configuration.txt": lambda: _configuration(settings, options, mask),
        "services.json": lambda: _json(open_database(conf).read(hosts.services)),
        "operations.json": lambda: _json(open_database(conf).read(open_operations.find)),
        "capacity.txt": lambda: _lines(capacity.rows(conf)),
        "doctor.json": lambda: _findings(conf),
        "readyz.json": lambda: _readiness(settings, conf),
        **{f"logs/{log.name}": log.read for log in log_tails.find(settings)},
    }
    try:
        with _new_file(path) as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for part, gather in parts.items():
                _add(archive, f"{name}/{part}", mask.text(_gathered(gather)))
    except OSError as error:
        raise errors.Conflict(f"{path} is not written: {error.strerror or error}") from error
    print(f"{path} has all but secrets. Look through it before you hand it on: it names hosts, servers and projects.")
    return 0


def _gathered(gather: Callable[[], str]) -> str:
    try:
        return concurrency.call_within(_PART_S, gather)
    except Exception as error:
        # What keeps one part away is what the others are wanted for.
        return f"This could not be gathered: {type(error).__name__}: {error}\n"


def _new_file(path: Path) -> IO[bytes]:
    """Raises OSError for one that is there already."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode(errors="replace")
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), 0o600, int(datetime.datetime.now().timestamp())
    archive.addfile(member, io.BytesIO(content))


def _settings(conf: cfg.ConfigOpts) -> Iterator[Setting]:
    """What the files of nova-manage set, and those of the daemons beside them."""
    own = [os.path.abspath(path) for path in files.of(conf)]
    beside = {str(path) for one in own for path in Path(one).parent.glob("nova-*.conf")}
    of_daemons = {str(path) for one in own for path in Path(one).parent.glob("nova-*.conf.d/*.conf")}
    for path in [*own, *sorted((beside | of_daemons) - set(own))]:
        try:
            yield from files.settings([path])
        except (cfg.Error, OSError, UnicodeError) as error:
            yield Setting(path, f"cannot be read: {type(error).__name__}", "", "")


def _in_force(conf: cfg.ConfigOpts, options: known.Index) -> Iterator[Setting]:
    """The values of secret options of which no file need know, but the environment."""
    for group, by_name in options.items():
        for name, option in by_name.items():
            if not option.secret:
                continue
            with contextlib.suppress(cfg.NoSuchOptError, cfg.NoSuchGroupError, KeyError):
                value = conf[name] if group == "DEFAULT" else conf[group][name]
                if value and value != option.default:
                    yield Setting("", group, name, str(value))


def _options(settings: list[Setting]) -> known.Index:
    libraries = known.index([*messaging_options.list_opts(), *concurrency_options.list_opts()])
    exist = options_of_files(settings)
    return {group: libraries.get(group, {}) | exist.get(group, {}) for group in libraries.keys() | exist.keys()}


def _configuration(settings: list[Setting], options: known.Index, mask: Mask) -> str:
    lines: list[str] = []
    path = None
    for setting in settings:
        if setting.path != path:
            path = setting.path
            lines.append(f"# {path}")
        head = f"[{setting.group}]"
        lines.append(f"{setting.option} = {shown(setting, options, mask)}" if setting.option else head)
    return "\n".join(lines) + "\n"


def _versions(conf: cfg.ConfigOpts) -> str:
    facts = [
        f"nova {release.version()}",
        f"Python {platform.python_version()}",
        f"{platform.platform()}",
        f"the database is at {migrations.version(conf.database.connection)}, of {migrations.newest()}",
    ]
    packages = {f"{one.metadata['Name']} {one.version}" for one in metadata.distributions()}
    return "\n".join([*facts, "", *sorted(packages, key=str.lower)]) + "\n"


def _findings(conf: cfg.ConfigOpts) -> str:
    found: list[dict[str, Any]] = []
    for look in doctor.LOOKS:
        try:
            found += [finding._asdict() for finding in look(conf)]
        except Exception as error:
            found.append({"subject": look.__name__.strip("_"), "text": f"{type(error).__name__}: {error}"})
    return _json(found)


def _readiness(settings: list[Setting], conf: cfg.ConfigOpts) -> str:
    """What /readyz answers on each health port that a file sets; the workers of a daemon have the ports behind it."""
    ports = {setting.value: setting.path for setting in settings if setting.option == "health_port"}
    listen = {setting.path: setting.value for setting in settings if setting.option == "health_listen"}
    answers: dict[str, Any] = {}
    for port, path in ports.items():
        address = listen.get(path, conf.health_listen)
        answers |= _workers("127.0.0.1" if address in _EVERYWHERE else address, int(port))
    return _json(answers or "no file sets [DEFAULT] health_port")


def _workers(address: str, first: int) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    host = f"[{address}]" if ":" in address else address
    with requests.Session() as session:
        session.trust_env = False
        for port in range(first, first + _MOST_WORKERS):
            url = f"http://{host}:{port}/readyz"
            try:
                answer = session.get(url, timeout=_ANSWER_S)
            except requests.RequestException as error:
                if port == first:
                    answers[url] = f"no answer: {type(error).__name__}"
                break
            answers[url] = {"status": answer.status_code, "body": answer.text}
    return answers


def _json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), indent=1) + "\n"


def _lines(rows: list[tuple[str, ...]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)
