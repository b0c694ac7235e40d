"""Write doc/man and etc/bash-completion from the commands' own parsers: tools/make_manuals.py [DIRECTORY]."""

import argparse
import configparser
import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from oslo_config import cfg

from nova import conf as configuration
from nova.cmd import config_options, network

ROOT = Path(__file__).parent.parent
# Everything else is a daemon.
USERS = ("nova-policy",)
# What another program runs: it reads no configuration.
SCRIPTS = ("nova-dhcpbridge",)
TOOLS = ("nova-manage", "nova-status", "placement-manage", *USERS)
COMPLETED = ("nova-manage", "placement-manage")

STATUS = """.SH EXIT STATUS
0 when all went well, 2 when the command line or the configuration cannot be used, 1 for every other failure.
"""
DAEMON = r""".SH CONFIGURATION
Without \-\-config\-file, /etc/nova/nova.conf and /etc/nova/{name}.conf are read; without \-\-config\-dir, the files *.conf of
/etc/nova/nova.conf.d and of /etc/nova/{name}.conf.d, in the order of their names. An option that several files set has the
value of the last one.
Every option stands in nova.conf.sample. A file that sets an option to what it cannot be, or lacks one that the daemon needs,
ends the daemon with one line on standard error and status 2.
.SH SIGNALS
SIGTERM and SIGINT end the daemon in order. SIGHUP makes it read its files again.
"""
FILES = r""".SH FILES
.TP
.I /etc/nova/nova.conf
the configuration
.TP
.I /etc/nova/nova.conf.d
further files of it
.TP
.I /etc/nova/policy.yaml
who may do what, where it differs from the defaults
"""

Sub = argparse._SubParsersAction


def commands() -> dict[str, ModuleType]:
    """The module of each command, by its name."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    pairs = (line.split(" = ") for line in lines)
    return {name: importlib.import_module(place.partition(":")[0]) for name, place in pairs}


def parser_of(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser that reads the command's arguments."""
    if name in TOOLS:
        made: argparse.ArgumentParser = module.parser()
        return made
    if name in SCRIPTS:
        usage = str(module.USAGE).removeprefix("usage: ").partition("\n")[0]
        script = argparse.ArgumentParser(prog=name, usage=usage, description=module.__doc__)
        script.add_argument("--version", action="store_true", help="print the version")
        return script
    conf = cfg.ConfigOpts()
    configuration.register(conf)
    conf([], project="nova", prog=name, version="", default_config_files=[], default_config_dirs=[])
    parser: argparse.ArgumentParser | None = conf._oparser
    assert parser is not None
    _say_ours(parser)
    if module is network:
        for action in network.parser()._actions:
            parser._add_action(action)
    return parser


def _say_ours(parser: argparse.ArgumentParser) -> None:
    """oslo.config's text about these two has the defaults of the machine it runs on."""
    ours = argparse.ArgumentParser(add_help=False)
    config_options.add(ours)
    help_of = {action.dest: action.help for action in ours._actions}
    for action in parser._actions:
        action.help = help_of.get(action.dest, action.help)


def manual(name: str, module: ModuleType) -> str:
    """The page in man's own format."""
    parser = parser_of(name, module)
    summary, _, rest = (module.__doc__ or "").partition("\n")
    section = _section(name)
    page = f'.\\" Written by tools/make_manuals.py.\n.TH {_plain(name.upper())} {section}\n'
    page += f".SH NAME\n{_plain(name)} \\- {_plain(summary.partition(': ')[2].rstrip('.'))}\n"
    words = " [\\fIWORD\\fR ...]" if name in (*TOOLS, *SCRIPTS) else ""
    page += f".SH SYNOPSIS\n.B {_plain(name)}\n[\\fIOPTION\\fR ...]{words}\n"
    if rest.strip():
        page += f".SH DESCRIPTION\n{_plain(rest.strip())}\n"
    page += ".SH OPTIONS\n" + "".join(map(_option, _options(parser)))
    found = list(_walk(parser))
    if found:
        page += ".SH COMMANDS\n" + "".join(_command(*one) for one in found)
    page += "" if name in (*TOOLS, *SCRIPTS) else DAEMON.replace("{name}", _plain(name))
    page += "" if name in SCRIPTS else FILES
    return page + STATUS + f".SH SEE ALSO\n{_neighbours(name)}\n"


def _section(name: str) -> int:
    return 1 if name in USERS else 8


def _neighbours(name: str) -> str:
    others = [other for other in ("nova-manage", "placement-manage", "nova-policy") if other != name]
    return ",\n".join(f".BR {_plain(other)} ({_section(other)})" for other in others).replace(",\n", " ,\n")


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if not isinstance(action, Sub) and action.help != argparse.SUPPRESS]


def _walk(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, list[argparse.Action]]]:
    """Each command that does something: its words, its help, its own options."""
    for action in parser._actions:
        if not isinstance(action, Sub):
            continue
        help_of = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for word, below in action.choices.items():
            deeper = list(_walk(below, (*words, word)))
            own = [option for option in _options(below) if option.dest not in ("help", "config_file", "config_dir")]
            yield from deeper or [(" ".join((*words, word)), help_of.get(word, ""), own)]


def _command(words: str, said: str, options: list[argparse.Action]) -> str:
    text = f".TP\n.B {_plain(words)}\n{_plain(said)}\n"
    if options:
        text += ".RS\n" + "".join(map(_option, options)) + ".RE\n"
    return text


def _option(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    names = [f"\\fB{_plain(name)}\\fR" for name in action.option_strings]
    shown = ", ".join(names) + (f" \\fI{_plain(value)}\\fR" if value else "")
    said = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f".TP\n{shown.strip()}\n{_plain(said) or '.'}\n"


def _plain(text: str) -> str:
    """Text that man reads as text: dashes stay dashes, and no line begins a request."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    text = "\n".join(textwrap.wrap(text, 110, break_on_hyphens=False, break_long_words=False))
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.splitlines())


def completion(name: str, parser: argparse.ArgumentParser) -> str:
    """What bash offers behind each word."""
    function = "_" + name.replace("-", "_")
    cases = "".join(f"        '{words}') offered='{' '.join(offered)}' ;;\n" for words, offered in _offers(parser))
    return f"""# Written by tools/make_manuals.py.
# shellcheck shell=bash
{function}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words='' offered='' index
    case $before in
        --config-file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --config-dir) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    esac
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${{COMP_WORDS[index]}} in
            --config-file | --config-dir) ((index++)) ;;
            -*) ;;
            *) words="${{words:+$words }}${{COMP_WORDS[index]}}" ;;
        esac
    done
    case $words in
{cases}    esac
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$word")
}}
complete -o filenames -F {function} {name}
"""


def _offers(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """For the words that stand there already: what may come next."""
    offered = [name for action in _options(parser) for name in action.option_strings if name.startswith("--")]
    below = {word: sub for action in parser._actions if isinstance(action, Sub) for word, sub in action.choices.items()}
    yield " ".join(words), [*below, *offered]
    for word, sub in below.items():
        yield from _offers(sub, (*words, word))


def main() -> int:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    found = commands()
    for place in ("doc/man", "etc/bash-completion"):
        (directory / place).mkdir(parents=True, exist_ok=True)
    for name, module in found.items():
        (directory / "doc/man" / f"{name}.{_section(name)}").write_text(manual(name, module))
    for name in COMPLETED:
        (directory / "etc/bash-completion" / name).write_text(completion(name, parser_of(name, found[name])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
