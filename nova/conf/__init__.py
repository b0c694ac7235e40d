"""Configuration: one module per group, upstream's option names where the meaning is the same.

A configuration is loaded once by a daemon's main() and handed down as an argument: nothing reads
a global. Each module here has OPTIONS and, unless it describes [DEFAULT], a GROUP.
"""

import contextlib
import copy
import io
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from keystoneauth1 import loading as auth_loading
from keystonemiddleware.auth_token import list_opts as list_auth_token_options
from oslo_config import cfg
from oslo_log import _options as log_options
from oslo_log import log as oslo_log
from oslo_messaging import opts as messaging_options
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
    earlier,
    ec2,
    glance,
    image_cache,
    keystone,
    known,
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
from nova.conf import files as files_
from nova.conf.bad_configuration import BadConfiguration as BadConfiguration
from nova.conf.files import Setting

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


def load(args: Sequence[str] = (), files: Sequence[str] | None = None) -> cfg.ConfigOpts:
    """Read the configuration a daemon was started with.

    args is the command line without the program name. Without files, --config-file counts, then
    /etc/nova/nova.conf. Raises BadConfiguration for a file that cannot be read, a group that
    neither this project nor upstream knows, a value that does not fit its option, and an option that
    promises safety which nobody would give.
    """
    conf = cfg.ConfigOpts()
    register(conf)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
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
        # oslo.config's own end for a value in a file that the command line could have given, too.
        if ending.code == 1:
            _check_files(files_.named_by(args, files))
            raise BadConfiguration(_explain(ValueError(said.getvalue()), conf)) from ending
        sys.stderr.write(said.getvalue())
        raise
    _check_files(files_.of(conf), conf)
    _translate(conf)
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


def _translate(conf: cfg.ConfigOpts) -> None:
    """Let what files say in options of earlier releases count as the defaults of today's."""
    for found in earlier.translate(files_.values(conf)):
        group, option = found.name
        if group in (*CLIENT_GROUPS, "keystone_authtoken"):
            auth_loading.register_auth_conf_options(conf, group)
            conf.register_opts(auth_loading.get_auth_plugin_conf_options("password"), group=group)
        elif option == "transport_url":
            conf.register_opts(messaging_options.list_opts()[0][1])
        try:
            conf.set_default(option, found.value, None if group == "DEFAULT" else group)
        except ValueError as error:
            before = ", ".join(f"[{group}] {option}" for group, option in found.before)
            raise BadConfiguration(f"{files_.where(conf)}: {before}: {error}") from error


def _register_client_auth(conf: cfg.ConfigOpts) -> None:
    """The options of an auth plugin exist once auth_type in the file has named it."""
    for group in CLIENT_GROUPS:
        plugin = conf[group].auth_type
        if plugin:
            conf.register_opts(auth_loading.get_auth_plugin_conf_options(plugin), group=group)


def options_of_files(settings: Sequence[Setting]) -> known.Index:
    """The options that may stand in files, but for those of the message bus and of locks."""
    found = known.index([*list_options(), *log_options.list_opts(), *policy_options.list_opts()])
    known.add_plugins(found, settings)
    return found


def _check_files(paths: Sequence[str], conf: cfg.ConfigOpts | None = None) -> None:
    """Look at each line of the files. conf: what was read of them, to look at values that name other options, too."""
    settings = list(files_.settings(paths))
    known_options = options_of_files(settings)
    for setting in settings:
        path, group, name, value = setting
        if group not in known_options and group not in _UPSTREAMS_GROUPS:
            near = known.nearest_group([*known_options, *_UPSTREAMS_GROUPS], group)
            meant = f"; is it [{near}]?" if near else ""
            raise BadConfiguration(f"{path}: [{group}] is not a group of options this release knows{meant}")
        if (why := refused.reason(group, name, value)) is not None:
            raise BadConfiguration(f"{path}: [{group}] {name} = {value} is not supported: {why}")
        option = known_options.get(group, {}).get(name)
        if option is not None and (wrong := known.why_wrong(setting, option)):
            raise BadConfiguration(wrong)
        if option is not None and conf is not None and "$" in value:
            _check_reference(conf, setting, option)


def _check_reference(conf: cfg.ConfigOpts, setting: Setting, option: cfg.Opt) -> None:
    """Read an option that names another one, so that a bad value is reported before anything has started."""
    try:
        (conf if setting.group == "DEFAULT" else conf[setting.group])[option.dest]
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
        LOG.debug("%s: [%s] %s is not used here", setting.path, setting.group, setting.option)
    except (cfg.Error, ValueError) as error:
        said = " ".join(str(error).split())
        raise BadConfiguration(f"{setting.path}: [{setting.group}] {setting.option}: {said}") from error


def _explain(error: Exception, conf: cfg.ConfigOpts) -> str:
    files = ", ".join(conf.config_file or ()) if getattr(conf, "_namespace", None) else ""
    said = " ".join(str(error).split())
    return f"{files}: {said}" if files else said


def sample_state_path() -> Path:
    """Where a daemon keeps its files when nothing else is configured."""
    return Path("/var/lib/nova")
