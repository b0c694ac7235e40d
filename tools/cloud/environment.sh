# What must be installed before anything runs: Debian packages and one virtual environment.
#
# To move to newer Python packages: make a fresh virtual environment, install requirements.txt and
# test-requirements.txt without constraints, run tools/test.sh, and put `pip freeze` into constraints.txt.
# shellcheck shell=bash

CLOUD_PACKAGES=(
    # the virtual environment, and libvirt's binding built in it
    python3 python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev
    # guests
    libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients
    qemu-system-x86 qemu-utils seabios ovmf ipxe-qemu genisoimage
    # their networks
    iproute2 nftables dnsmasq-base
    # their screens
    novnc spice-html5
    # their image
    busybox-static cpio dosfstools e2fsprogs fdisk mtools syslinux syslinux-common
    # what the scripts themselves call
    procps util-linux
)
DISTRIBUTED_PACKAGES=(rabbitmq-server mariadb-server)
NEUTRON_PACKAGES=(openvswitch-switch ovn-central ovn-host ethtool iptables haproxy)
TEST_PACKAGES=(
    postgresql prometheus shellcheck groff-base ovn-central awscli s3cmd
    # the simulated vCenter
    golang-go golang-github-vmware-govmomi-dev
    # a client of the end-to-end tests
    golang-github-gophercloud-gophercloud-dev
)
BROWSER_PACKAGES=(chromium)

# install_packages PACKAGE...: those that are missing.
install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    printf 'installing %s packages ' ${#missing[@]} >&3
    forbid_service_starts
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

# Without systemd a package's own script would start its server, here and now. With systemd that is the
# machine's own business: this cloud's servers use other ports and directories.
forbid_service_starts() {
    [ -d /run/systemd/system ] || [ -e /usr/sbin/policy-rc.d ] && return
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

# One virtual environment for the package, the services around it, the clients and the tests.
install_environment() {
    local wanted
    wanted=$(environment_checksum)
    [ "$(cat "$VENV/.checksum" 2>/dev/null)" != "$wanted" ] || return 0
    printf 'installing, some minutes ' >&3
    [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
    # The constraints name pip and setuptools too, also for what pip builds on the way.
    export PIP_CONSTRAINT=$ROOT/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
    "$VENV/bin/pip" install -q pip setuptools wheel
    "$VENV/bin/pip" install -q -r "$ROOT/requirements.txt" -r "$ROOT/test-requirements.txt"
    # The distribution's name before 1.0: both at once would register every entry point twice.
    "$VENV/bin/pip" uninstall -q -y nova
    "$VENV/bin/pip" install -q --no-deps --no-build-isolation -e "$ROOT"
    echo "$wanted" >"$VENV/.checksum"
}

environment_checksum() {
    (cd "$ROOT" && "${PYTHON:-python3}" --version && cat constraints.txt requirements.txt test-requirements.txt setup.cfg setup.py) |
        sha256sum | cut -d' ' -f1
}
