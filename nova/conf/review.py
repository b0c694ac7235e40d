"""What else can be said of a configuration's files, once they are read: libraries' options, and options that nobody has."""

from collections.abc import Iterable

from oslo_concurrency import opts as concurrency_options
from oslo_config import cfg
from oslo_messaging import opts as messaging_options

from nova.conf import files, known, options_of_files, refused, upstream
from nova.conf.bad_configuration import BadConfiguration

# Read before any file is, and in none.
_OF_THE_COMMAND_LINE = {"config_file", "config_dir"}


def review(conf: cfg.ConfigOpts) -> list[str]:
    """A line for each option of the files that neither this release nor upstream has: it changes nothing.

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
    return list(dict.fromkeys(unknown(exist, settings)))


def unknown(exist: known.Index, settings: Iterable[files.Setting]) -> Iterable[str]:
    for path, group, option, _ in settings:
        if not option or option in exist.get(group, ()) or option in _OF_THE_COMMAND_LINE:
            continue
        if (group, option) in upstream.NEEDLESS or (group, option) in refused.REFUSALS or group not in exist:
            continue
        near = known.nearest(exist, group, option)
        yield f"{path}: [{group}] {option} is not an option of this release{f'; is it {near}?' if near else ''}"
