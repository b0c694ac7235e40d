"""A real Keystone over SQLite; see real_services.py. It believes nobody: who asks it has a password or a key."""

import base64
import os

import requests

from tests.functional.real_services import SCRIPTS, RealService

CONF = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.sqlite
[fernet_tokens]
key_repository = {directory}/keys
[fernet_receipts]
key_repository = {directory}/keys
[credential]
key_repository = {directory}/keys
[identity]
password_hash_rounds = 4
"""

# The administrator's, in the project "admin".
PASSWORD = "password"


class RealKeystone(RealService):
    name = "Keystone"
    application = "keystone.wsgi.api:application"

    def configure(self):
        self.write("keystone.conf", CONF.format(directory=self.directory))
        keys = self.directory / "keys"
        keys.mkdir(mode=0o700)
        for number in (0, 1):
            (keys / str(number)).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        manage = (SCRIPTS / "keystone-manage", "--config-file", self.directory / "keystone.conf")
        self.run(*manage, "db_sync")
        self.run(*manage, "bootstrap", "--bootstrap-password", PASSWORD)

    def environment(self):
        return {"OS_KEYSTONE_CONFIG_FILES": str(self.directory / "keystone.conf")}

    def clear(self):
        """What tests leave in it disturbs nobody."""

    def settings(self, group):
        """How a daemon logs in as the administrator, in its configuration."""
        return f"""
[{group}]
auth_type = password
auth_url = {self.address}/v3
username = admin
password = {PASSWORD}
project_name = admin
user_domain_id = default
project_domain_id = default
endpoint_override = {self.address}/v3
"""

    def make_access_key(self):
        """The administrator's new access key and its secret."""
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = requests.post(f"{self.address}/v3/auth/tokens", json=body, timeout=60)
        token = answer.json()["token"]
        path = f"/v3/users/{token['user']['id']}/credentials/OS-EC2"
        wanted = {"tenant_id": token["project"]["id"]}
        made = self.ask("POST", path, wanted, token=answer.headers["X-Subject-Token"])["credential"]
        return made["access"], made["secret"]
