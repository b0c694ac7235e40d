"""Where other services are looked for: the catalog as the options of their groups say, or an address."""

import pytest

from nova import conf as configuration
from nova.clients.adapters import service_adapter

CREDENTIALS = """
[cinder]
auth_type = password
auth_url = http://controller:5000/v3
username = nova
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
"""


@pytest.fixture
def adapter(tmp_path):
    def make(*lines):
        path = tmp_path / "nova.conf"
        path.write_text("\n".join([CREDENTIALS, *lines]))
        return service_adapter(configuration.load([], [str(path)]), "cinder")

    return make


def test_the_block_storage_service_is_found_by_its_type(adapter):
    found = adapter()

    assert (found.service_type, found.service_name, found.interface) == ("block-storage", None, None)


def test_the_guides_catalog_info_leaves_the_later_options_their_say(adapter):
    found = adapter("catalog_info = volumev3::publicURL", "valid_interfaces = internal", "region_name = one")

    assert (found.service_type, found.interface, found.region_name) == ("block-storage", ["internal"], "one")


def test_catalog_info_and_os_region_name_choose_the_endpoint(adapter):
    found = adapter("catalog_info = volumev3:cinder:internalURL", "os_region_name = two", "region_name = one")

    assert (found.service_type, found.service_name, found.interface) == ("volumev3", "cinder", "internal")
    assert found.region_name == "two"


def test_endpoint_template_is_the_address(adapter):
    found = adapter("endpoint_template = http://volumes:8776/v3/%(project_id)s")

    assert found.endpoint_override == "http://volumes:8776/v3/%(project_id)s"


def test_a_catalog_info_that_names_no_interface_is_refused(adapter):
    with pytest.raises(configuration.BadConfiguration, match="catalog_info"):
        adapter("catalog_info = volumev3")
