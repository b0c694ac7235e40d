"""What options of earlier releases mean today."""

import pytest

from nova import conf as configuration
from nova.conf import earlier


def meant(text):
    """What lines of group option = value come to, by group and option."""
    values = {}
    for line in text.strip().splitlines():
        name, _, value = line.partition("=")
        group, option = name.split()
        values[group, option] = value.strip()
    return {one.name: one.value for one in earlier.translate(values)}


def test_an_option_that_moved_is_found():
    assert meant("DEFAULT sql_connection = mysql://nova@controller/nova") == {
        ("database", "connection"): "mysql://nova@controller/nova"
    }


def test_what_stands_under_the_own_name_wins():
    assert meant("DEFAULT vnc_enabled = False\nvnc enabled = True") == {}
    assert meant("DEFAULT rabbit_host = one\nDEFAULT transport_url = rabbit://two") == {}


@pytest.mark.parametrize(
    "text, url",
    [
        ("DEFAULT rabbit_host = controller\nDEFAULT rabbit_password = a/b", "rabbit://guest:a%2Fb@controller:5672/"),
        ("oslo_messaging_rabbit rabbit_host = controller\noslo_messaging_rabbit rabbit_userid = openstack\n"
         "oslo_messaging_rabbit rabbit_password = x", "rabbit://openstack:x@controller:5672/"),
        ("DEFAULT rabbit_hosts = one:5673, two\nDEFAULT rabbit_virtual_host = /nova",
         "rabbit://guest:guest@one:5673,guest:guest@two:5672/nova"),
        ("DEFAULT rabbit_host = [2001:db8::1]", "rabbit://guest:guest@[2001:db8::1]:5672/"),
    ],
)  # fmt: skip
def test_the_brokers_parts_are_a_url(text, url):
    assert meant(text) == {("DEFAULT", "transport_url"): url}


def test_the_image_services_parts_are_an_address():
    assert meant("DEFAULT glance_host = controller") == {("glance", "api_servers"): "http://controller:9292"}
    assert meant("glance host = images\nglance protocol = https\nglance port = 443") == {
        ("glance", "api_servers"): "https://images:443"
    }


def test_credentials_of_the_second_identity_api_are_those_of_the_default_domain():
    found = meant("""
        keystone_authtoken auth_host = controller
        keystone_authtoken auth_port = 35357
        keystone_authtoken auth_protocol = http
        keystone_authtoken admin_user = nova
        keystone_authtoken admin_password = NOVA_PASS
        keystone_authtoken admin_tenant_name = service
    """)

    assert found == {
        ("keystone_authtoken", "auth_type"): "password",
        ("keystone_authtoken", "auth_url"): "http://controller:35357",
        ("keystone_authtoken", "username"): "nova",
        ("keystone_authtoken", "password"): "NOVA_PASS",
        ("keystone_authtoken", "project_name"): "service",
        ("keystone_authtoken", "user_domain_name"): "Default",
        ("keystone_authtoken", "project_domain_name"): "Default",
    }


def test_networkings_credentials_lose_the_version_of_their_address():
    found = meant(
        "DEFAULT neutron_admin_auth_url = http://controller:35357/v2.0\nDEFAULT neutron_admin_username = neutron"
    )

    assert found["neutron", "auth_url"] == "http://controller:35357"
    assert found["neutron", "username"] == "neutron"


def test_every_successor_is_an_option_of_today():
    today = {(group, option.dest) for group, options in configuration.list_options() for option in options}

    assert sorted(set(earlier.RENAMED.values()) - today) == []
    assert sorted(set(earlier.RENAMED) & today) == []
