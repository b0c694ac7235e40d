"""What else can be said of a configuration's files, once they are read: libraries' options, and options that nobody has."""

from collections.abc import Iterable

from oslo_concurrency import opts as concurrency_options
from oslo_config import cfg
from oslo_messaging import opts as messaging_options

from nova.conf import earlier, files, known, options_of_files, refused, upstream
from nova.conf.bad_configuration import BadConfiguration

# Read before any file is, and in none.
_OF_THE_COMMAND_LINE = {"config_file", "config_dir"}


def review(conf: cfg.ConfigOpts) -> list[str]:
    """A line for each option of the files that is an earlier release's, or nobody's: that changes nothing.

    Raises BadConfiguration for an option of a library with a value that does not fit it.
    """
    settings = list(files.settings(files.of(conf)))
    exist = options_of_files(settings)
    libraries = known.index([*messaging_options.list_opts(), *concurrency_options.list_opts()])
    for group, options in libraries.items():
        exist[group] = options | exist.get(group, {})
    for setting in settings:
        option = libraries.get(setting.group, {}).get(setting.option)
        if option is not None and (wrong := known.why_wrong(setting, option)):
            raise BadConfiguration(wrong)
    return [*dict.fromkeys(unknown(exist, settings)), *said_earlier(settings)]


def said_earlier(settings: Iterable[files.Setting]) -> Iterable[str]:
    """Which options of today the options of earlier releases stand for."""
    places = {(one.group, one.option): one for one in settings}
    found: dict[earlier.Name, list[str]] = {}
    for translation in earlier.translate({name: one.value for name, one in places.items()}):
        for name in translation.before:
            found.setdefault(name, []).append("[{}] {}".format(*translation.name))
    for (group, option), today in found.items():
        yield f"{places[group, option].path}: [{group}] {option} is an earlier release's; write {', '.join(today)}"


def unknown(exist: known.Index, settings: Iterable[files.Setting]) -> Iterable[str]:
    for path, group, option, _ in settings:
        if not option or option in exist.get(group, ()) or option in _OF_THE_COMMAND_LINE:
            continue
        if earlier.is_earlier((group, option)):
            continue
        if (group, option) in upstream.NEEDLESS or (group, option) in refused.REFUSALS or group not in exist:
            continue
        near = known.nearest(exist, group, option)
        yield f"{path}: [{group}] {option} is not an option of this release{f'; is it {near}?' if near else ''}"
