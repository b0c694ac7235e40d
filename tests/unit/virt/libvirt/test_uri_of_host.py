"""How another host's libvirtd is reached."""

import pytest

from nova import conf as configuration
from nova.virt.libvirt.connection import uri_of_host


@pytest.mark.parametrize(
    "options, uri",
    [
        ({}, "qemu+tcp://compute-2/system"),
        ({"live_migration_scheme": "tls"}, "qemu+tls://compute-2/system"),
        ({"live_migration_uri": "qemu+ssh://nova@%s/system", "live_migration_scheme": "tls"}, "qemu+ssh://nova@compute-2/system"),
        ({"live_migration_uri": "test:///default"}, "test:///default"),
    ],
)  # fmt: skip
def test_another_host_is_reached_as_its_options_say(options, uri):
    conf = configuration.load([], [])
    for name, value in options.items():
        conf.set_override(name, value, "libvirt")

    assert uri_of_host(conf, "compute-2") == uri
