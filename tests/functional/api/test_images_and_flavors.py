"""Properties of images and extra specs of flavors that no guest would show: refused, not read over."""

import pytest


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    return cloud


def answer_for(cloud, properties=(), specs=()):
    """What a request for a server with such an image and such a flavor is answered."""
    admin = cloud.client("admin", "project")
    name = f"f{len(admin.get('/flavors').json()['flavors'])}"
    admin.post("/flavors", {"flavor": {"name": name, "id": name, "vcpus": 1, "ram": 64, "disk": 1}})
    if specs:
        assert admin.post(f"/flavors/{name}/os-extra_specs", {"extra_specs": dict(specs)}).status_code == 200
    image = cloud.glance.add(name, **dict(properties))
    return admin.post("/servers", {"server": admin.wanted(flavor=name, image=image)})


@pytest.mark.parametrize(
    "properties",
    [
        {"hw_numa_cpus.0": "0"},
        {"hw_numa_mem.1": "32"},
        {"hw_ipxe_boot": "true"},
        {"hw_mem_encryption_context": "x"},
        {"hw_maxphysaddr_mode": "emulate"},
        {"hw_maxphysaddr_bits": "42"},
        {"hw_maxphysaddr_mode": "passthrough", "hw_maxphysaddr_bits": "42"},
        {"hw_maxphysaddr_mode": "guess"},
        {"hw_maxphysaddr_mode": "emulate", "hw_maxphysaddr_bits": "many"},
    ],
    ids=lambda properties: " ".join(f"{name}={value}" for name, value in properties.items()),
)
def test_a_property_that_nobody_honours_is_refused_by_its_name(cloud, properties):
    answer = answer_for(cloud, properties)

    assert answer.status_code == 400, answer.text
    assert next(iter(properties)).removeprefix("hw_").partition("_mode")[0].partition("_bits")[0] in answer.text


@pytest.mark.parametrize("specs", [{"hw:numa_cpus.0": "0"}, {"hw:numa_mem.0": "64"}], ids=["processors", "memory"])
def test_an_extra_spec_that_nobody_honours_is_refused_by_its_name(cloud, specs):
    answer = answer_for(cloud, specs=specs)

    assert (answer.status_code, next(iter(specs)) in answer.text) == (400, True)


def test_an_image_may_say_how_wide_addresses_are_and_not_contradict_the_flavor(cloud):
    of_image = {"hw_maxphysaddr_mode": "emulate", "hw_maxphysaddr_bits": "42"}
    of_flavor = {"hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": "40"}

    answers = [answer_for(cloud, of_image), answer_for(cloud, specs=of_flavor), answer_for(cloud, of_image, of_flavor)]

    assert [answer.status_code for answer in answers] == [202, 202, 400]
