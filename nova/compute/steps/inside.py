"""Steps inside a running guest, done by its agent or its kernel."""

from nova.compute.host import Host
from nova.structs.steps import GuestArguments, PasswordArguments
from nova.virt.driver import GuestAgent, able


def set_password(host: Host, arguments: PasswordArguments) -> None:
    """Change the administrator's password."""
    instance = arguments.instance
    properties = instance.image.properties if instance.image else {}
    user = properties.get("os_admin_user") or ("Administrator" if properties.get("os_type") == "windows" else "root")
    able(host.driver, GuestAgent, "change passwords").set_password(instance.uuid, user, arguments.password)


def crash_dump(host: Host, arguments: GuestArguments) -> None:
    """Send the guest an NMI. Raises NotImplementedHere for a driver that cannot."""
    able(host.driver, GuestAgent, "dump a guest's memory").crash_dump(arguments.instance.uuid)
