"""What a daemon cannot work without: checked before it opens anything.

Each check is called with the configuration, and raises BadConfiguration.
"""

import difflib
from collections.abc import Callable

from keystoneauth1 import loading as auth_loading
from oslo_config import cfg
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from nova.conf import files
from nova.conf.bad_configuration import BadConfiguration
from nova.conf.database import parse

Check = Callable[[cfg.ConfigOpts], None]

_URL = "sqlite:///FILE, mysql+pymysql://USER:PASSWORD@HOST/NAME or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
_AS_ALIKE_AS = 0.8


def database(conf: cfg.ConfigOpts) -> None:
    """The compute database has a URL that can be opened."""
    _check_url(conf, "database")


def placement_database(conf: cfg.ConfigOpts) -> None:
    """Placement's database has a URL that can be opened."""
    _check_url(conf, "placement_database")


def tokens(conf: cfg.ConfigOpts) -> None:
    """An API can check tokens."""
    if conf.api.auth_strategy == "keystone":
        _check_plugin(conf, "keystone_authtoken")


def credentials(group: str) -> Check:
    """The daemon can log in at the service of this group, with the credentials of its own or of [keystone_authtoken]."""

    def check(conf: cfg.ConfigOpts) -> None:
        section = conf[group].auth_section or group
        auth_loading.register_auth_conf_options(conf, section)
        if conf[section].auth_type is None and section == group:
            auth_loading.register_auth_conf_options(conf, "keystone_authtoken")
            if conf.keystone_authtoken.auth_type is not None:
                section = "keystone_authtoken"
        _check_plugin(conf, section)

    return check


def _check_url(conf: cfg.ConfigOpts, group: str) -> None:
    url = conf[group].connection
    if not url:
        raise _missing(conf, group, "connection", _URL)
    try:
        parse(url).get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        # Its value holds a password.
        message = f"[{group}] connection: it must be {_URL}"
        raise BadConfiguration(files.locate(conf, message)) from error


def _check_plugin(conf: cfg.ConfigOpts, group: str) -> None:
    auth_loading.register_auth_conf_options(conf, group)
    group = conf[group].auth_section or group
    auth_loading.register_auth_conf_options(conf, group)
    name = conf[group].auth_type
    if not name:
        raise _missing(conf, group, "auth_type", "password, with the credentials of a service user beside it")
    conf.register_opts(auth_loading.get_auth_plugin_conf_options(name), group=group)
    for option in auth_loading.get_plugin_loader(name).get_options():
        if option.required and conf[group][option.dest] is None:
            raise _missing(conf, group, option.dest, f"set for auth_type = {name}: {option.help}")


def _missing(conf: cfg.ConfigOpts, group: str, option: str, right: str) -> BadConfiguration:
    written = {one.option for one in files.settings(files.of(conf)) if one.group == group}
    close = difflib.get_close_matches(option, written, 1, _AS_ALIKE_AS)
    instead = f" ({close[0]} is no option)" if close else ""
    return BadConfiguration(f"{files.where(conf)}: [{group}] {option} is not set{instead}; it must be {right}")
