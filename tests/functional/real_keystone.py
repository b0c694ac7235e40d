"""A real Keystone over SQLite; see real_services.py. It believes nobody: who asks it has a password or a key."""

import base64
import os
import sys

from tests.functional.real_services import SCRIPTS, RealService

CONF = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.sqlite?timeout=60
[fernet_tokens]
key_repository = {directory}/keys
[fernet_receipts]
key_repository = {directory}/keys
[credential]
key_repository = {directory}/keys
[identity]
password_hash_rounds = 4
# Without it a request takes a quarter of a second.
[cache]
enabled = true
backend = dogpile.cache.memory
"""

PASSWORD = "opensesame"

SECTION = """
[{section}]
auth_type = password
auth_url = {address}/v3
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
region_name = RegionOne
"""


class RealKeystone(RealService):
    name = "Keystone"
    application = "keystone.wsgi.api:application"

    def configure(self):
        keys = self.directory / "keys"
        keys.mkdir(mode=0o700)
        for number in (0, 1):
            (keys / str(number)).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        self.write("keystone.conf", CONF.format(directory=self.directory))
        manage = (sys.executable, SCRIPTS / "keystone-manage", "--config-file", self.directory / "keystone.conf")
        self.run(*manage, "db_sync")
        address = f"{self.address}/v3"
        names = ("--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne")
        urls = [word for kind in ("public", "internal", "admin") for word in (f"--bootstrap-{kind}-url", address)]
        self.run(*manage, "bootstrap", *names, *urls)

    def environment(self):
        return {"OS_KEYSTONE_CONFIG_FILES": str(self.directory / "keystone.conf")}

    def clear(self):
        """What tests leave in it disturbs nobody: each makes projects and users of its own."""

    def section(self, name):
        """How a service of the cloud logs in, for its configuration."""
        return SECTION.format(section=name, address=self.address, password=PASSWORD)

    def token(self):
        user = {"name": "admin", "domain": {"id": "default"}, "password": PASSWORD}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": scope}}
        answer = self._session.post(f"{self.address}/v3/auth/tokens", json=body, timeout=60)
        return answer.headers["X-Subject-Token"]

    def add_user(self, name, role="member", project_id=None):
        """A user with a role in a project, which is new unless it is named; the project's and the user's ids."""
        token = self.token()
        if project_id is None:
            project_id = self._add(token, "project", name=name)
        user_id = self._add(token, "user", name=name, password=PASSWORD)
        roles = self.ask("GET", f"/v3/roles?name={role}", token=token)["roles"]
        self.ask("PUT", f"/v3/projects/{project_id}/users/{user_id}/roles/{roles[0]['id']}", token=token)
        return project_id, user_id

    def add_credential(self, project_id, user_id):
        """A pair of access key and secret (OS-EC2)."""
        path = f"/v3/users/{user_id}/credentials/OS-EC2"
        credential = self.ask("POST", path, {"tenant_id": project_id}, token=self.token())["credential"]
        return credential["access"], credential["secret"]

    def _add(self, token, kind, **fields):
        body = {kind: {"domain_id": "default", **fields}}
        return self.ask("POST", f"/v3/{kind}s", body, token=token)[kind]["id"]
