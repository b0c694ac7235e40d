"""A real Neutron with ML2 and OVN over MariaDB, without a data path; see real_services.py.

A host is known to OVN as soon as it is added; nothing plugs its ports, so they stay DOWN until a test says otherwise.
"""

import itertools
import subprocess
import uuid

from throwaway_databases import MariaDB

from tests.functional.cloud import wait
from tests.functional.real_services import SCRIPTS, RealService

CONF = """
[DEFAULT]
use_stderr = true
core_plugin = ml2
service_plugins = ovn-router,auto_allocate,qos,trunk,placement
auth_strategy = noauth
transport_url = local:///neutron
state_path = {directory}/state
api_paste_config = {directory}/api-paste.ini
dns_domain = cloud.test.
send_events_interval = 1
# Nobody answers for the hosts of tests: none is dead.
agent_down_time = 1000000
rpc_workers = 0
[database]
connection = {database}
[nova]
auth_type = admin_token
endpoint = http://127.0.0.1:{compute}/v2.1
token = admin:service
[placement]
auth_type = admin_token
endpoint = http://127.0.0.1:{compute}/placement
token = admin:service
[oslo_concurrency]
lock_path = {directory}/locks
[quotas]
quota_network = -1
quota_subnet = -1
quota_port = -1
quota_router = -1
quota_floatingip = -1
quota_security_group = -1
quota_security_group_rule = -1
[ml2]
mechanism_drivers = ovn
type_drivers = geneve,flat,local
project_network_types = geneve
extension_drivers = port_security,qos,dns
overlay_ip_version = 4
[ml2_type_geneve]
vni_ranges = 1:65536
max_header_size = 38
[ovn]
ovn_nb_connection = unix:{directory}/nb.sock
ovn_sb_connection = unix:{directory}/sb.sock
"""

PASTE = """
[composite:neutron]
use = egg:Paste#urlmap
/: versions
/v2.0: v2
[app:versions]
paste.app_factory = neutron.pecan_wsgi.app:versions_factory
[pipeline:v2]
pipeline = request_id catch_errors believing context extensions api
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:catch_errors]
paste.filter_factory = oslo_middleware:CatchErrors.factory
[filter:believing]
paste.filter_factory = believing:Believing.factory
[filter:context]
paste.filter_factory = neutron.auth:NeutronKeystoneContext.factory
[filter:extensions]
paste.filter_factory = neutron.api.extensions:plugin_aware_extension_middleware_factory
[app:api]
paste.app_factory = neutron.api.v2.router:APIRouter.factory
"""

# The name space of the ids that Neutron gives to links of hosts with OVN.
_LINKS = uuid.UUID("5533233b-800c-11eb-b1f4-000056b2f5b8")
_SCHEMA = "/usr/share/ovn/ovn-{}.ovsschema"


class RealNeutron(RealService):
    name = "Neutron"
    application = "neutron.wsgi.api:application"

    def __init__(self, directory):
        super().__init__(directory)
        self._database = None
        # OVN refuses a second host at one address.
        self._hosts = itertools.count(1)
        self._pids = [directory / f"{part}.pid" for part in ("nb", "sb", "northd")]

    def configure(self):
        self._database = MariaDB()
        database = self._database.new_database()
        self.write("neutron.conf", CONF.format(directory=self.directory, database=database, compute=self.compute_port))
        self.write("api-paste.ini", PASTE)
        for part in ("nb", "sb"):
            self._start_ovsdb(part)
        sockets = [f"--ovn{part}-db=unix:{self.directory}/{part}.sock" for part in ("nb", "sb")]
        self.run("ovn-northd", *sockets, *self._daemon("northd"))
        self.run(SCRIPTS / "neutron-db-manage", *self._configured(), "upgrade", "heads")

    def stop(self):
        super().stop()
        for path in self._pids:
            if path.exists():
                subprocess.run(["kill", path.read_text().strip()], check=False)
        if self._database is not None:
            self._database.stop()

    def environment(self):
        return {"SERVICE_ARGUMENTS": " ".join(map(str, self._configured())), "OVS_RUNDIR": str(self.directory)}

    def ask(self, method, path, body=None, token="admin:project"):
        return super().ask(method, f"/v2.0{path}", body, token)

    def add_host(self, name):
        """Make a host known to OVN, so that ports can be bound to it."""
        number = next(self._hosts)
        self._sbctl("chassis-add", name, "geneve", f"127.1.{number // 256}.{number % 256}")
        self._sbctl("set", "chassis", name, f"hostname={name}")
        chassis = self._sbctl("get", "chassis", name, "_uuid")
        self._sbctl("create", "Chassis_Private", f"name={name}", f"chassis={chassis}")
        wait(lambda: any(one["host"] == name for one in self.ask("GET", "/agents")["agents"]), f"OVN knows {name}")

    def add_link(self, host, kbps):
        """Give a host a link to the physical network "provider"; the id that its provider in Placement has to have.

        Neutron tells Placement of links by itself where uWSGI or mod_wsgi run it, which they do not here.
        """
        options = f"resource_provider_bandwidths=br-ex:{kbps}:{kbps},resource_provider_hypervisors=br-ex:{host}"
        self._sbctl(
            "set", "chassis", host, 'other_config:ovn-bridge-mappings="provider:br-ex"',
            f'other_config:ovn-cms-options="{options}"',
        )  # fmt: skip
        return str(uuid.uuid5(_LINKS, f"{host}:br-ex"))

    def add_automatic_topology(self):
        """What an administrator provides so that projects without a network get one: addresses, and a way out."""
        pool = {
            "name": "auto",
            "prefixes": ["10.99.0.0/16"],
            "default_prefixlen": 24,
            "is_default": True,
            "shared": True,
        }
        self.ask("POST", "/subnetpools", {"subnetpool": pool})
        public = {"name": "public", "router:external": True, "is_default": True}
        network_id = self.ask("POST", "/networks", {"network": public})["network"]["id"]
        subnet = {"network_id": network_id, "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": False}
        self.ask("POST", "/subnets", {"subnet": subnet})

    def clear(self):
        """Take away what tests have left: addresses, ports, routers, networks, pools, groups."""
        for address in self.ask("GET", "/floatingips")["floatingips"]:
            self.ask("DELETE", f"/floatingips/{address['id']}")
        for port in self.ask("GET", "/ports")["ports"]:
            if not port["device_owner"].startswith("network:"):
                self.ask("DELETE", f"/ports/{port['id']}")
        for router in self.ask("GET", "/routers")["routers"]:
            for port in self.ask("GET", f"/ports?device_id={router['id']}&device_owner=network:router_interface")[
                "ports"
            ]:
                body = {"port_id": port["id"]}
                self.ask("PUT", f"/routers/{router['id']}/remove_router_interface", body)
            self.ask("DELETE", f"/routers/{router['id']}")
        for network in self.ask("GET", "/networks")["networks"]:
            self.ask("DELETE", f"/networks/{network['id']}")
        for pool in self.ask("GET", "/subnetpools")["subnetpools"]:
            self.ask("DELETE", f"/subnetpools/{pool['id']}")
        for group in self.ask("GET", "/security-groups")["security_groups"]:
            if group["name"] != "default":
                self.ask("DELETE", f"/security-groups/{group['id']}")

    def _start_ovsdb(self, part):
        file = self.directory / f"{part}.db"
        self.run("ovsdb-tool", "create", file, _SCHEMA.format(part))
        self.run("ovsdb-server", f"--remote=punix:{self.directory}/{part}.sock", *self._daemon(part), file)

    def _daemon(self, part):
        own = [
            f"--{option}={self.directory}/{part}.{ending}"
            for option, ending in (("pidfile", "pid"), ("unixctl", "ctl"))
        ]
        return [*own, f"--log-file={self.directory}/{part}.log", "--detach"]

    def _sbctl(self, *command):
        done = subprocess.run(
            ["ovn-sbctl", f"--db=unix:{self.directory}/sb.sock", *command], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def _configured(self):
        return ("--config-file", self.directory / "neutron.conf")
