"""Whoever asks for something that protects him gets it, or is told that he does not: nothing is ignored."""

import pytest

from nova.conf import BadConfiguration, load

FLAVORS = {
    "hw:mem_encryption": "true",
    "hw:mem_encryption_model": "amd-sev",
    "hw:tpm_version": "2.0",
    "hw:tpm_model": "tpm-crb",
    "hw:ephemeral_encryption": "true",
    "hw:locked_memory": "true",
    "hw:cpu_policy": "dedicated",
    "hw:cpu_thread_policy": "isolate",
    "hw:emulator_threads_policy": "isolate",
    "hw:pmem": "6GB",
    "hw:numa_nodes": "2",
    "hw:pci_numa_affinity_policy": "required",
    "hw:redirected_usb_ports": "2",
    "hw:serial_port_count": "5",
    "hw:viommu_model": "virtio",
    "pci_passthrough:alias": "gpu:1",
    "accel:device_profile": "fpga",
}
IMAGES = {
    "hw_mem_encryption": "True",
    "hw_tpm_version": "2.0",
    "hw_tpm_model": "tpm-tis",
    "hw_ephemeral_encryption": "true",
    "hw_firmware_stateless": "true",
    "hw_locked_memory": "true",
    "hw_cpu_thread_policy": "require",
    "hw_numa_nodes": "2",
    "hw_pci_numa_affinity_policy": "socket",
    "hw_redirected_usb_ports": "1",
    "hw_serial_port_count": "5",
    "hw_emulation_architecture": "aarch64",
    "os_require_quiesce": "yes",
}
HARMLESS = {
    "hw:mem_encryption": "false",
    "hw:cpu_policy": "shared",
    "hw:cpu_thread_policy": "prefer",
    "hw:watchdog_action": "reset",
    "hw:numa_nodes": "1",
}


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    return cloud


def flavor_with(cloud, specs):
    admin = cloud.client("admin", "admin", "2.60")
    name = "-".join(specs).replace(":", ".")
    body = {"name": name, "ram": 64, "vcpus": 1, "disk": 1, "id": name}
    admin.post("/flavors", {"flavor": body})
    assert admin.post(f"/flavors/{name}/os-extra_specs", {"extra_specs": specs}).status_code == 200
    return name


def image_with(cloud, **properties):
    return cloud.glance.add("image", **properties)


@pytest.mark.parametrize("spec", FLAVORS)
def test_an_extra_spec_that_nobody_keeps_is_refused(cloud, spec):
    user = cloud.client()
    flavor = flavor_with(cloud, {spec: FLAVORS[spec]})

    answers = [
        user.post("/servers", {"server": user.wanted(flavor=flavor)}),
        user.post("/scheduling/explain", {"server": user.wanted(flavor=flavor)}),
        user.act(running(cloud)["id"], "resize", {"flavorRef": flavor}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert all(f"{spec}={FLAVORS[spec]}" in answer.text for answer in answers)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_property_that_nobody_keeps_is_refused(cloud, name):
    user, image = cloud.client(), image_with(cloud, **{name: IMAGES[name]})

    answers = [
        user.post("/servers", {"server": user.wanted(image=image)}),
        user.act(running(cloud)["id"], "rebuild", {"imageRef": image}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert all(name in answer.text for answer in answers)


def test_what_asks_for_nothing_is_no_promise(cloud):
    user = cloud.client()

    server = user.create_server(flavor=flavor_with(cloud, HARMLESS), image=image_with(cloud, hw_mem_encryption="no"))

    assert server["status"] == "ACTIVE"


def running(cloud):
    found = cloud.client().get("/servers?name=^one$").json()["servers"]
    plain = [server for server in found if "m1.tiny" in cloud.client().server(server["id"])["flavor"]["original_name"]]
    return plain[0] if plain else cloud.client().create_server()


@pytest.mark.parametrize("certificates", [["0b5d2c72-12cc-4ba6-a8d7-3ff5cc1d8cb8"], ["a", "b"]])
def test_certificates_are_refused_for_nobody_checks_them(cloud, certificates):
    user = cloud.client()
    asked = {"trusted_image_certificates": certificates}

    answers = [
        user.post("/servers", {"server": user.wanted(**asked)}),
        user.act(running(cloud)["id"], "rebuild", {"imageRef": next(iter(cloud.glance.images)), **asked}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert all("certificate validation is not supported" in answer.text for answer in answers)


def test_an_encrypted_volume_is_not_written_in_the_clear(cloud):
    user, volume = cloud.client(), cloud.cinder.add(encrypted=True, bootable="true")
    root = {"source_type": "volume", "uuid": volume, "destination_type": "volume", "boot_index": 0}
    body = {"server": user.wanted(block_device_mapping_v2=[root])}
    del body["server"]["imageRef"]

    answers = [
        user.post(f"/servers/{running(cloud)['id']}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}}),
        user.post("/servers", body),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert all("encrypted" in answer.text for answer in answers)
    assert cloud.cinder.attachments == {}


def test_a_volume_that_turns_out_to_be_encrypted_fails_its_server(cloud, monkeypatch):
    user = cloud.client()
    add = cloud.cinder.add
    monkeypatch.setattr(cloud.cinder, "add", lambda *args, **facts: add(*args, **{**facts, "encrypted": True}))
    image = next(iter(cloud.glance.images))
    root = {
        "source_type": "image", "uuid": image, "destination_type": "volume", "volume_size": 1, "boot_index": 0,
        "volume_type": "luks",
    }  # fmt: skip
    body = {"server": user.wanted(block_device_mapping_v2=[root])}
    del body["server"]["imageRef"]

    answer = user.post("/servers", body)

    server = user.wait(answer.json()["server"]["id"], "ERROR")
    assert "encrypted" in server["fault"]["message"]
    assert cloud.cinder.attachments == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[glance]\nverify_glance_signatures = True\n", "verify_glance_signatures"),
        ("[glance]\ndefault_trusted_certificate_ids = a,b\n", "default_trusted_certificate_ids"),
        ("[libvirt]\nlive_migration_with_native_tls = true\n", "live_migration_with_native_tls"),
        ("[libvirt]\nswtpm_enabled = 1\n", "swtpm_enabled"),
        ("[vnc]\nauth_schemes = vencrypt,none\n", "auth_schemes"),
        ("[ephemeral_storage_encryption]\nenabled = yes\n", "enabled"),
    ],
)
def test_a_daemon_does_not_start_with_safety_it_would_not_give(tmp_path, text, named):
    path = tmp_path / "nova.conf"
    path.write_text(text)

    with pytest.raises(BadConfiguration) as refused:
        load(files=[str(path)])

    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["[vnc]\nauth_schemes = none\n", "[libvirt]\nswtpm_enabled = false\n", "[glance]\nverify_glance_signatures =\n"],
)
def test_an_option_that_is_off_keeps_no_daemon_from_starting(tmp_path, text):
    path = tmp_path / "nova.conf"
    path.write_text(text)

    load(files=[str(path)])
