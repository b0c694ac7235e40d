"""The rights of nova-network: who it is, and what the privileged process beside it may do to this host."""

import hashlib
import os
import pwd
import stat

from oslo_config import cfg

from nova.privileged import separation
from nova.privileged.bounds import Bounds
from nova.privileged.tools import CommandFailed


def realm_of(conf: cfg.ConfigOpts) -> str:
    """What tells two clouds on one machine apart, in names: they differ in networks_path."""
    return hashlib.sha256(os.path.realpath(conf.networks_path).encode()).hexdigest()[:6]


def are_enough() -> bool:
    """Whether this process can make networks, itself or through another."""
    return os.geteuid() == 0 or separation.is_separate()


def separate(conf: cfg.ConfigOpts, user: str) -> None:
    """Start the privileged process, and be user from now on; "" stays who it is. Before anybody is heard.

    Without root and without a command that gives it, nothing is done. Raises CommandFailed.
    """
    is_root = os.geteuid() == 0
    if conf.network_dataplane and conf.dhcpbridge and not os.access(conf.dhcpbridge, os.X_OK):
        raise CommandFailed(f"[DEFAULT] dhcpbridge: {conf.dhcpbridge} is no program that can be run")
    if user and _uid(user) == 0:
        raise CommandFailed(f"{user} is root, who cannot be without rights; leave --user out to stay it")
    if conf.network_dataplane and (user if is_root else conf.nova_network_privileged.helper_command):
        _start(conf, user if is_root else "")
    if is_root and user:
        _become(user)


def _start(conf: cfg.ConfigOpts, user: str) -> None:
    if user:
        _give(conf.networks_path, user)
    lent = tuple(name for name in (conf.flat_interface, conf.public_interface) if name)
    bounds = Bounds(
        networks_path=os.path.abspath(conf.networks_path),
        realm=realm_of(conf),
        bridges=(conf.flat_network_bridge,) if conf.flat_network_bridge else (),
        lent=lent,
        dnsmasq_config_file=conf.dnsmasq_config_file,
        uid=_uid(user) if user else os.geteuid(),
        dhcpbridge=conf.dhcpbridge or "",
    )
    separation.start(conf, bounds)


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise CommandFailed(f"there is no user {user}") from error


def _become(user: str) -> None:
    try:
        separation.become(user)
    except OSError as error:
        raise CommandFailed(f"it cannot become the user {user}: {error}") from error


def _give(path: str, user: str) -> None:
    """Make the DHCP servers' directory the user's. What an earlier release made as root goes along; never what is another's."""
    entry = pwd.getpwnam(user)
    os.makedirs(path, exist_ok=True)
    if os.stat(path).st_uid != 0:
        return
    # By descriptors: a link that lies there leads nowhere. The directory itself comes last, so that a start that is
    # broken off is taken up.
    for _, directories, files, here in os.fwalk(path, topdown=False):
        for name in (*directories, *files):
            state = os.stat(name, dir_fd=here, follow_symlinks=False)
            if state.st_uid == 0 and (stat.S_ISDIR(state.st_mode) or state.st_nlink == 1):
                os.chown(name, entry.pw_uid, entry.pw_gid, dir_fd=here, follow_symlinks=False)
    os.chown(path, entry.pw_uid, entry.pw_gid)
