"""A real Glance over SQLite and files; see real_services.py."""

import sys

from tests.functional.real_services import RealService

CONF = """
[DEFAULT]
use_stderr = true
enabled_backends = file:file
worker_self_reference_url = {address}
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {directory}/images
[os_glance_tasks_store]
filesystem_store_datadir = {directory}/tasks
[os_glance_staging_store]
filesystem_store_datadir = {directory}/staging
[database]
connection = sqlite:///{directory}/glance.sqlite?timeout=60
"""

PASTE = """
[pipeline:glance-api]
pipeline = versions_asked believing context root
[composite:root]
paste.composite_factory = glance.api:root_app_factory
/: versions
/v2: v2
[filter:versions_asked]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[app:versions]
paste.app_factory = glance.api.versions:create_resource
[filter:believing]
paste.filter_factory = believing:Believing.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[app:v2]
paste.app_factory = glance.api.v2.router:API.factory
"""


# Glance's own migrations make the same tables in ten times the time.
TABLES = """
import sqlalchemy
from glance.db.sqlalchemy import models
models.register_models(sqlalchemy.create_engine("sqlite:///{directory}/glance.sqlite"))
"""


class RealGlance(RealService):
    name = "Glance"
    application = "glance.wsgi.api:application"

    def configure(self):
        self.write("glance-api.conf", CONF.format(directory=self.directory, address=self.address))
        self.write("glance-api-paste.ini", PASTE)
        self.run(sys.executable, "-c", TABLES.format(directory=self.directory))

    def environment(self):
        return {"OS_GLANCE_CONFIG_DIR": str(self.directory)}

    def add(self, name="tiny", content=b"\0" * 1024, token="admin:project", **properties):
        """The id of an image; without content it stays queued."""
        wanted = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public", **properties}
        image_id = self.ask("POST", "/v2/images", wanted, token=token)["id"]
        if content is not None:
            answer = self._session.put(
                f"{self.address}/v2/images/{image_id}/file",
                data=content,
                headers={"X-Auth-Token": token, "Content-Type": "application/octet-stream"},
                timeout=60,
            )
            assert answer.status_code == 204, answer.text
        return image_id

    def content(self, image_id):
        answer = self._session.get(
            f"{self.address}/v2/images/{image_id}/file", headers={"X-Auth-Token": "admin:project"}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return answer.content

    @property
    def images(self):
        return {one["id"]: one for one in self.ask("GET", "/v2/images?limit=1000")["images"]}

    def clear(self):
        for image_id in self.images:
            self.ask("DELETE", f"/v2/images/{image_id}")
