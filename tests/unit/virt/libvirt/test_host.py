"""How the driver decides what kind of guests a host can run."""

import pytest

from nova.virt.libvirt.host import choose_virt_type, read_cpu_flags


@pytest.mark.parametrize(
    "wanted, flags, can_kvm, chosen",
    [
        ("kvm", {"vmx"}, True, "kvm"),
        ("kvm", {"svm"}, True, "kvm"),
        ("kvm", set(), True, "qemu"),
        ("kvm", {"vmx"}, False, "qemu"),
        ("qemu", {"vmx"}, True, "qemu"),
    ],
)
def test_kvm_needs_the_processor_and_libvirt(wanted, flags, can_kvm, chosen):
    assert choose_virt_type(wanted, flags, can_kvm) == chosen


def test_flags_are_those_of_the_processor(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu vmx\nvmx flags\t: vnmi\n")

    assert read_cpu_flags(cpuinfo) == {"fpu", "vmx"}
