"""Configuration: one module per group, upstream's option names where the meaning is the same.

A configuration is loaded once by a daemon's main() and handed down as an argument: nothing reads
a global. Each module here has OPTIONS and, unless it describes [DEFAULT], a GROUP.
"""

import configparser
import copy
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from keystoneauth1 import loading as auth_loading
from keystonemiddleware.auth_token import list_opts as list_auth_token_options
from oslo_config import cfg
from oslo_log import log as oslo_log
from oslo_policy import opts as policy_options

from nova import release
from nova.conf import (
    api,
    cinder,
    compute,
    conductor,
    consoles,
    crypto,
    database,
    default,
    ec2,
    glance,
    image_cache,
    keystone,
    libvirt,
    manila,
    network,
    neutron,
    notifications,
    objectstore,
    placement,
    privileged,
    quota,
    refused,
    scheduler,
    upstream,
    vmware,
    wsgi,
    xenserver,
)

LOG = logging.getLogger(__name__)

MODULES = (
    default,
    api,
    cinder,
    compute,
    conductor,
    *consoles.MODULES,
    crypto,
    *database.MODULES,
    ec2,
    glance,
    image_cache,
    keystone,
    libvirt,
    manila,
    network,
    neutron,
    notifications,
    objectstore,
    *placement.MODULES,
    privileged,
    quota,
    *scheduler.MODULES,
    vmware,
    wsgi,
    xenserver,
)

# Groups in which this cloud logs in somewhere: they carry keystoneauth's auth and session options.
CLIENT_GROUPS = ("cinder", "glance", "keystone", "manila", "neutron", "placement")

_UPSTREAMS_GROUPS = upstream.GROUPS.keys() | {group for group, _ in [*upstream.NEEDLESS, *refused.REFUSALS]}

# Half of what the callers of this cloud wait for it.
_REQUEST_S = 30
# Of one attempt; the middleware makes four.
_TOKEN_CHECK_S = 10


class BadConfiguration(Exception):
    """The configuration cannot be used; the message names the file, the group and the option."""


def load(args: Sequence[str] = (), files: Sequence[str] | None = None) -> cfg.ConfigOpts:
    """Read the configuration a daemon was started with.

    args is the command line without the program name. Without files, --config-file counts, then
    /etc/nova/nova.conf. Raises BadConfiguration for a file that cannot be read, a group that
    neither this project nor upstream knows, a value that does not fit its option, and an option that
    promises safety which nobody would give.
    """
    conf = cfg.ConfigOpts()
    register(conf)
    try:
        conf(
            args=list(args),
            project="nova",
            version=release.version(),
            default_config_files=None if files is None else list(files),
            validate_default_values=False,
        )
    except (cfg.Error, ValueError) as error:
        raise BadConfiguration(_explain(error, conf)) from error
    except SystemExit as ending:
        # oslo.config's own end for a value in a file that the command line could have given, too: it has said which.
        if ending.code == 1:
            raise BadConfiguration(_explain(ValueError("a value does not fit its option"), conf)) from ending
        raise
    known = {group for group, _ in list_options()}
    for path in conf.config_file or ():
        _check_file(conf, path, known)
    _register_client_auth(conf)
    return conf


def register(conf: cfg.ConfigOpts) -> None:
    """Make every option of this project known to conf, without reading any file."""
    oslo_log.register_options(conf)
    oslo_log.set_defaults(
        default_log_levels=[*oslo_log.get_default_log_levels(), "sqlalchemy=WARNING", "openstack=WARNING"]
    )
    policy_options.set_defaults(conf, policy_file="policy.yaml")
    for module in MODULES:
        # A group remembers what was set in it: each configuration needs groups of its own.
        conf.register_opts(module.OPTIONS, group=copy.deepcopy(getattr(module, "GROUP", None)))
    for group, options in list_auth_token_options():
        conf.register_opts(options, group=group)
    # Not in the options themselves, which the middleware registers once more.
    conf.set_default("http_connect_timeout", _TOKEN_CHECK_S, group="keystone_authtoken")
    for group in CLIENT_GROUPS:
        auth_loading.register_auth_conf_options(conf, group)
        conf.register_opts(_session_options(), group=group)
        auth_loading.register_adapter_conf_options(conf, group)


def list_options() -> list[tuple[str, list[cfg.Opt]]]:
    """Every group and its options, for oslo.config's sample generator."""
    by_group: dict[str, list[cfg.Opt]] = {}
    for module in MODULES:
        group = getattr(module, "GROUP", None)
        by_group.setdefault(group.name if group else "DEFAULT", []).extend(module.OPTIONS)
    for group, options in list_auth_token_options():
        cfg.set_defaults(options, http_connect_timeout=_TOKEN_CHECK_S)
        by_group.setdefault(group, []).extend(options)
    for group in CLIENT_GROUPS:
        by_group.setdefault(group, []).extend(
            [
                *auth_loading.get_auth_common_conf_options(),
                *_session_options(),
                *auth_loading.get_adapter_conf_options(include_deprecated=False),
                *auth_loading.get_auth_plugin_conf_options("v3password"),
            ]
        )
    return sorted(by_group.items())


def _session_options() -> list[cfg.Opt]:
    """keystoneauth's, with an end to every request."""
    options = auth_loading.get_session_conf_options()
    cfg.set_defaults(options, timeout=_REQUEST_S)
    for option in options:
        if option.dest == "timeout":
            option.help = (
                "Seconds a request may take, so that a service that takes connections and never answers holds nobody up; "
                "less than the callers of this cloud wait (rpc_response_timeout)."
            )
    return options


def _register_client_auth(conf: cfg.ConfigOpts) -> None:
    """The options of an auth plugin exist once auth_type in the file has named it."""
    for group in CLIENT_GROUPS:
        plugin = conf[group].auth_type
        if plugin:
            conf.register_opts(auth_loading.get_auth_plugin_conf_options(plugin), group=group)


def _check_file(conf: cfg.ConfigOpts, path: str, own_groups: Collection[str]) -> None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="\0", delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(Path(path).read_text())
    for group in parser.sections():
        if group not in own_groups and group not in _UPSTREAMS_GROUPS:
            raise BadConfiguration(f"{path}: [{group}] is not a group of options this release knows")
        for option, value in parser.items(group):
            if (why := refused.reason(group, option, value)) is not None:
                raise BadConfiguration(f"{path}: [{group}] {option} = {value} is not supported: {why}")
        if group not in own_groups:
            continue
        for option in parser.options(group):
            _check_option(conf, path, group, option)


def _check_option(conf: cfg.ConfigOpts, path: str, group: str, option: str) -> None:
    """Read one option, so that a bad value is reported before anything has started."""
    section = None if group == "DEFAULT" else group
    try:
        (conf if section is None else conf[section])[option]
    except cfg.NoSuchOptError:
        LOG.debug("%s: [%s] %s is not used here", path, group, option)
    except (cfg.Error, ValueError) as error:
        raise BadConfiguration(f"{path}: [{group}] {option}: {error}") from error


def _explain(error: Exception, conf: cfg.ConfigOpts) -> str:
    files = ", ".join(conf.config_file or ()) if getattr(conf, "_namespace", None) else ""
    return f"{files}: {error}" if files else str(error)


def sample_state_path() -> Path:
    """Where a daemon keeps its files when nothing else is configured."""
    return Path("/var/lib/nova")
