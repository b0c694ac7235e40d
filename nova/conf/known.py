"""Which options exist, by the names that files may use, and what value each takes."""

import difflib
from collections.abc import Iterable
from importlib.metadata import entry_points

from keystoneauth1 import loading as auth_loading
from oslo_config import cfg, types

from nova.conf.bad_configuration import BadConfiguration
from nova.conf.files import Setting

# By group and name.
Index = dict[str, dict[str, cfg.Opt]]

_AS_ALIKE_AS = 0.8


def index(listed: Iterable[tuple[str | cfg.OptGroup | None, Iterable[cfg.Opt]]]) -> Index:
    """From what libraries list, by group, with each option's earlier names."""
    found: Index = {}
    for group, options in listed:
        name = group.name if isinstance(group, cfg.OptGroup) else group or "DEFAULT"
        for option in options:
            found.setdefault(name, {})[option.dest] = option
            for before in option.deprecated_opts:
                earlier = found.setdefault(before.group or name, {})
                for spelling in {before.name or option.dest, (before.name or option.dest).replace("-", "_")}:
                    earlier.setdefault(spelling, option)
    return found


def add_plugins(known: Index, settings: Iterable[Setting]) -> None:
    """Make the options of the authentication plugins known that the settings name, and the groups they put them in.

    Raises BadConfiguration for a plugin that does not exist.
    """
    for setting in settings:
        if setting.option == "auth_section":
            known.setdefault(setting.value, {}).update(index([("", _plugin_options("v3password"))])["DEFAULT"])
        elif setting.option == "auth_type" and setting.value:
            # keystoneauth itself would load every plugin to say which there are.
            names = entry_points(group=auth_loading.PLUGIN_NAMESPACE).names
            if setting.value not in names:
                raise BadConfiguration(
                    f"{_place(setting)} = {setting.value}: it must be one of {', '.join(sorted(names))}"
                )
            options = _plugin_options(setting.value)
            known.setdefault(setting.group, {}).update(index([("", options)])["DEFAULT"])


def _plugin_options(name: str) -> list[cfg.Opt]:
    return [*auth_loading.get_auth_common_conf_options(), *auth_loading.get_auth_plugin_conf_options(name)]


def why_wrong(setting: Setting, option: cfg.Opt) -> str | None:
    """What is right for an option whose value does not fit, as a line; None for one that fits or holds a reference."""
    # What $name stands for is known when all files are read.
    if "$" in setting.value:
        return None
    try:
        option.type(setting.value)
    except (ValueError, TypeError) as error:
        shown = "" if option.secret else f" = {setting.value}"
        right = expected(option.type) or " ".join(str(error).split())
        return f"{_place(setting)}{shown}: it must be {right}"
    return None


def expected(kind: object) -> str | None:
    """What a value of this type looks like; None for a type of which only its error can tell."""
    if choices := getattr(kind, "choices", None):
        return "one of " + ", ".join(repr(choice) if choice == "" else str(choice) for choice in choices)
    match kind:
        case types.Boolean():
            return "true or false"
        case types.Integer() | types.Float():
            noun = (
                "a port"
                if isinstance(kind, types.Port)
                else "a number"
                if isinstance(kind, types.Float)
                else "an integer"
            )
            return noun + _bounds(kind.min, kind.max)
        case types.List():
            return f"a list, separated by commas; each part must be {expected(kind.item_type) or 'text'}"
        case types.Dict():
            return "key:value pairs, separated by commas"
        case types.HostAddress() | types.Hostname():
            return "a host name or an IP address"
        case types.IPAddress():
            return "an IP address"
        case types.URI():
            return "a URL"
    return None


def _bounds(least: float | None, most: float | None) -> str:
    if most is None:
        return "" if least is None else f" of at least {least}"
    return f" of at most {most}" if least is None else f" from {least} to {most}"


def nearest(known: Index, group: str, option: str) -> str | None:
    """The option that somebody who wrote this may have meant, with its group."""
    if close := difflib.get_close_matches(option, known.get(group, ()), 1, _AS_ALIKE_AS):
        return f"[{group}] {close[0]}"
    for name in difflib.get_close_matches(
        option, {name for names in known.values() for name in names}, 1, _AS_ALIKE_AS
    ):
        elsewhere = [other for other, names in known.items() if name in names]
        return f"[{elsewhere[0]}] {name}" if len(elsewhere) == 1 else None
    return None


def nearest_group(groups: Iterable[str], group: str) -> str | None:
    close = difflib.get_close_matches(group, groups, 1, _AS_ALIKE_AS)
    return close[0] if close else None


def _place(setting: Setting) -> str:
    return f"{setting.path}: [{setting.group}] {setting.option}"
