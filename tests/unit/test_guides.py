"""The nova.conf of each installation guide: what it says is understood, and nothing of it is passed over in silence."""

import pytest

from nova import conf as configuration
from nova.conf import required
from nova.conf.review import review

ICEHOUSE_CONTROLLER = """
[DEFAULT]
rpc_backend = rabbit
rabbit_host = controller
rabbit_password = RABBIT_PASS
my_ip = 10.0.0.11
vncserver_listen = 10.0.0.11
vncserver_proxyclient_address = 10.0.0.11
auth_strategy = keystone
verbose = True
network_api_class = nova.network.neutronv2.api.API
neutron_url = http://controller:9696
neutron_auth_strategy = keystone
neutron_admin_tenant_name = service
neutron_admin_username = neutron
neutron_admin_password = NEUTRON_PASS
neutron_admin_auth_url = http://controller:35357/v2.0
linuxnet_interface_driver = nova.network.linux_net.LinuxOVSInterfaceDriver
firewall_driver = nova.virt.firewall.NoopFirewallDriver
security_group_api = neutron
service_neutron_metadata_proxy = true
neutron_metadata_proxy_shared_secret = METADATA_SECRET
[database]
connection = mysql://nova:NOVA_DBPASS@controller/nova
[keystone_authtoken]
auth_uri = http://controller:5000
auth_host = controller
auth_port = 35357
auth_protocol = http
admin_tenant_name = service
admin_user = nova
admin_password = NOVA_PASS
"""
ICEHOUSE_COMPUTE = """
[DEFAULT]
auth_strategy = keystone
rpc_backend = rabbit
rabbit_host = controller
rabbit_password = RABBIT_PASS
my_ip = 10.0.0.31
vnc_enabled = True
vncserver_listen = 0.0.0.0
vncserver_proxyclient_address = 10.0.0.31
novncproxy_base_url = http://controller:6080/vnc_auto.html
glance_host = controller
network_api_class = nova.network.api.API
security_group_api = nova
firewall_driver = nova.virt.libvirt.firewall.IptablesFirewallDriver
network_manager = nova.network.manager.FlatDHCPManager
network_size = 254
allow_same_net_traffic = False
multi_host = True
send_arp_for_ha = True
share_dhcp_address = True
force_dhcp_release = True
flat_network_bridge = br100
flat_interface = eth1
public_interface = eth1
[libvirt]
virt_type = qemu
"""
MITAKA = """
[DEFAULT]
enabled_apis = osapi_compute,metadata
rpc_backend = rabbit
auth_strategy = keystone
my_ip = 10.0.0.11
use_neutron = True
firewall_driver = nova.virt.firewall.NoopFirewallDriver
[api_database]
connection = mysql+pymysql://nova:NOVA_DBPASS@controller/nova_api
[database]
connection = mysql+pymysql://nova:NOVA_DBPASS@controller/nova
[oslo_messaging_rabbit]
rabbit_host = controller
rabbit_userid = openstack
rabbit_password = RABBIT_PASS
[keystone_authtoken]
auth_uri = http://controller:5000
auth_url = http://controller:35357
memcached_servers = controller:11211
auth_type = password
project_domain_name = default
user_domain_name = default
project_name = service
username = nova
password = NOVA_PASS
[vnc]
vncserver_listen = $my_ip
vncserver_proxyclient_address = $my_ip
[glance]
api_servers = http://controller:9292
[oslo_concurrency]
lock_path = /var/lib/nova/tmp
[neutron]
url = http://controller:9696
auth_url = http://controller:35357
auth_type = password
project_domain_name = default
user_domain_name = default
region_name = RegionOne
project_name = service
username = neutron
password = NEUTRON_PASS
service_metadata_proxy = True
metadata_proxy_shared_secret = METADATA_SECRET
"""
QUEENS = """
[DEFAULT]
enabled_apis = osapi_compute,metadata
transport_url = rabbit://openstack:RABBIT_PASS@controller
my_ip = 10.0.0.11
use_neutron = True
firewall_driver = nova.virt.firewall.NoopFirewallDriver
[api_database]
connection = mysql+pymysql://nova:NOVA_DBPASS@controller/nova_api
[database]
connection = mysql+pymysql://nova:NOVA_DBPASS@controller/nova
[api]
auth_strategy = keystone
[keystone_authtoken]
auth_url = http://controller:5000/v3
memcached_servers = controller:11211
auth_type = password
project_domain_name = default
user_domain_name = default
project_name = service
username = nova
password = NOVA_PASS
[vnc]
enabled = true
server_listen = $my_ip
server_proxyclient_address = $my_ip
[glance]
api_servers = http://controller:9292
[oslo_concurrency]
lock_path = /var/lib/nova/tmp
[placement]
os_region_name = RegionOne
project_domain_name = Default
project_name = service
auth_type = password
user_domain_name = Default
auth_url = http://controller:5000/v3
username = placement
password = PLACEMENT_PASS
[neutron]
url = http://controller:9696
auth_url = http://controller:35357
auth_type = password
project_domain_name = default
user_domain_name = default
region_name = RegionOne
project_name = service
username = neutron
password = NEUTRON_PASS
[scheduler]
discover_hosts_in_cells_interval = 300
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        path = tmp_path / "nova.conf"
        path.write_text(text)
        return configuration.load([], [str(path)])

    return load_text


def test_the_controller_of_icehouse_reaches_all_it_names(load):
    conf = load(ICEHOUSE_CONTROLLER)

    assert conf.transport_url == "rabbit://guest:RABBIT_PASS@controller:5672/"
    assert conf.vnc.server_listen == conf.vnc.server_proxyclient_address == "10.0.0.11"
    assert (conf.neutron.endpoint_override, conf.neutron.auth_type) == ("http://controller:9696", "password")
    assert (conf.neutron.auth_url, conf.neutron.username) == ("http://controller:35357", "neutron")
    assert (conf.neutron.password, conf.neutron.project_name) == ("NEUTRON_PASS", "service")
    assert (conf.neutron.service_metadata_proxy, conf.neutron.metadata_proxy_shared_secret) == (True, "METADATA_SECRET")
    assert (conf.keystone_authtoken.auth_type, conf.keystone_authtoken.username) == ("password", "nova")
    assert (conf.keystone_authtoken.auth_url, conf.keystone_authtoken.password) == (
        "http://controller:35357",
        "NOVA_PASS",
    )
    required.database(conf)
    required.tokens(conf)


def test_the_compute_node_of_icehouse_does_too(load):
    conf = load(ICEHOUSE_COMPUTE)

    assert conf.vnc.enabled is True
    assert conf.vnc.novncproxy_base_url == "http://controller:6080/vnc_auto.html"
    assert conf.glance.api_servers == ["http://controller:9292"]
    assert conf.flat_network_bridge == "br100"


def test_mitaka_names_the_broker_in_parts(load):
    conf = load(MITAKA)

    assert conf.transport_url == "rabbit://openstack:RABBIT_PASS@controller:5672/"
    assert conf.vnc.server_listen == "10.0.0.11"
    assert conf.neutron.endpoint_override == "http://controller:9696"


def test_queens_names_placements_region(load):
    assert load(QUEENS).placement.region_name == "RegionOne"


@pytest.mark.parametrize(
    "guide, earlier",
    [
        (
            ICEHOUSE_CONTROLLER,
            {
                "rabbit_host", "rabbit_password", "vncserver_listen", "vncserver_proxyclient_address", "auth_strategy",
                "neutron_url", "neutron_admin_tenant_name", "neutron_admin_username", "neutron_admin_password",
                "neutron_admin_auth_url", "service_neutron_metadata_proxy", "neutron_metadata_proxy_shared_secret",
                "auth_uri", "auth_host", "auth_port", "auth_protocol", "admin_tenant_name", "admin_user", "admin_password",
            },
        ),
        (
            ICEHOUSE_COMPUTE,
            {
                "auth_strategy", "rabbit_host", "rabbit_password", "vnc_enabled", "vncserver_listen",
                "vncserver_proxyclient_address", "novncproxy_base_url", "glance_host",
            },
        ),
        (MITAKA, {"auth_uri", "auth_strategy", "rabbit_host", "rabbit_userid", "rabbit_password", "url"}),
        (QUEENS, {"os_region_name", "url"}),
    ],
    ids=["icehouse-controller", "icehouse-compute", "mitaka", "queens"],
)  # fmt: skip
def test_one_warning_tells_the_name_of_today_and_nothing_else_is_said(load, guide, earlier):
    lines = review(load(guide))

    assert {line.split("] ")[1].split()[0] for line in lines} == earlier
    assert all("is an earlier release's; write [" in line for line in lines)
    assert len(lines) == len(earlier)
    assert not any("PASS" in line for line in lines)


@pytest.mark.parametrize(
    "line", ["rpc_backend = qpid", "rpc_backend = nova.openstack.common.rpc.impl_qpid", "qpid_hostname = controller"]
)
def test_a_broker_that_cannot_be_spoken_to_is_an_error_that_names_the_one_that_can(load, line):
    with pytest.raises(configuration.BadConfiguration, match="rabbit://"):
        load(f"[DEFAULT]\n{line}\n")


def test_an_earlier_option_with_a_value_that_cannot_be_is_an_error_that_names_it(load):
    with pytest.raises(configuration.BadConfiguration, match="vnc_enabled"):
        load("[DEFAULT]\nvnc_enabled = perhaps\n")
