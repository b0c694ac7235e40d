"""The development cloud's storage: a Cinder driver whose volumes are sparse raw files in one directory.

Every host of the cloud sees that directory, so a volume is a path: nothing is exported, nothing is mounted.
This kernel offers no iSCSI or NVMe-oF target, and LVM has no device mapper here.
"""

import os
import shutil
import subprocess
from pathlib import Path

from cinder import interface
from cinder.image import image_utils
from cinder.privsep import sys_admin_pctxt
from cinder.volume import configuration, driver, volume_utils
from oslo_config import cfg

GIB = 1024**3
OPTIONS = [cfg.StrOpt("file_volumes_directory", help="Where volumes and snapshots lie.")]

cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)
# Root already: no helper process needs to become it.
sys_admin_pctxt.set_client_mode(False)


@interface.volumedriver
class FileDriver(driver.VolumeDriver):
    """Any method may be called again for what it has done already."""

    VERSION = "1.0"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self._directory = Path(self.configuration.file_volumes_directory)

    @staticmethod
    def get_driver_options():
        return OPTIONS

    def check_for_setup_error(self):
        self._directory.mkdir(parents=True, exist_ok=True)

    def get_volume_stats(self, refresh=False):
        usage = shutil.disk_usage(self._directory)
        return {
            "volume_backend_name": self.configuration.volume_backend_name,
            "vendor_name": "development cloud",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "total_capacity_gb": usage.total / GIB,
            "free_capacity_gb": usage.free / GIB,
            "multiattach": True,
        }

    def local_path(self, volume):
        return str(self._path(volume))

    def create_volume(self, volume):
        self._path(volume).touch()
        self.extend_volume(volume, volume.size)

    def extend_volume(self, volume, new_size):
        os.truncate(self._path(volume), new_size * GIB)

    def delete_volume(self, volume):
        self._path(volume).unlink(missing_ok=True)

    def create_snapshot(self, snapshot):
        self._copy(self._path(snapshot.volume), self._path(snapshot))

    def delete_snapshot(self, snapshot):
        self._path(snapshot).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(self._path(snapshot), self._path(volume))
        self.extend_volume(volume, volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._copy(self._path(src_vref), self._path(volume))
        self.extend_volume(volume, volume.size)

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        image_utils.fetch_to_raw(context, image_service, image_id, self.local_path(volume), "1M", size=volume.size)
        self.extend_volume(volume, volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self.local_path(volume), volume)

    def initialize_connection(self, volume, connector, **kwargs):
        return {"driver_volume_type": "local", "data": {"device_path": self.local_path(volume)}}

    def _do_nothing(self, *args, **kwargs):
        """A path needs no export, and holds nothing."""

    ensure_export = create_export = remove_export = terminate_connection = _do_nothing

    def _path(self, volume_or_snapshot):
        return self._directory / volume_or_snapshot.name

    def _copy(self, source, target):
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
