#!/bin/bash
# Builds the guest image `tiny`: Debian's cloud kernel and busybox on a bootable qcow2 disk.
#
# Usage: tools/guest/build.sh OUTPUT.qcow2
# Needs (as root or any user): busybox-static cpio dosfstools e2fsprogs fdisk mtools qemu-utils syslinux syslinux-common.
# Nothing is mounted. The kernel's package is downloaded and unpacked, never installed.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OUTPUT=${1:?usage: build.sh OUTPUT.qcow2}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# What a guest of this cloud may meet; the modules these need come along by themselves.
MODULES=(
    virtio_pci virtio_blk virtio_net virtio_scsi virtio_rng virtio_balloon
    ata_generic ata_piix sd_mod sr_mod isofs vfat nls_cp437 nls_ascii
    evdev button
)
BOOT_MB=24
DATA_MB=8

main() {
    fetch_kernel
    pack_initramfs
    make_boot_partition
    make_data_partition
    assemble_disk
}

fetch_kernel() {
    mkdir "$WORK/kernel"
    # apt's knowledge may be missing, or so old that the package it knows is gone.
    download_kernel || { apt-get -q update && download_kernel; }
    dpkg-deb -x "$WORK"/kernel/*.deb "$WORK/kernel"
}

download_kernel() {
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
    [ -n "$package" ] || return 1
    # apt's own user cannot write to a private directory, and says so at length.
    (cd "$WORK/kernel" && apt-get -q -o APT::Sandbox::User=root download "$package")
}

pack_initramfs() {
    local root=$WORK/root
    mkdir -p "$root"/{bin,dev,mnt,modules,proc,root,run,sys,tmp}
    cp -a "$HERE/rootfs/." "$root"
    install -m 755 "$(command -v busybox)" "$root/bin/busybox"
    ln -s bin "$root/sbin"
    busybox --list | while read -r applet; do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    write_passwords "$root"
    copy_modules "$root/modules"
    (cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio --null --quiet -o -H newc -R 0:0 | gzip -9) >"$WORK/initramfs"
}

write_passwords() {
    printf 'root:!:19000::::::\nguest:%s:19000::::::\n' "$(busybox mkpasswd -m sha256 -S tinyguest guest)" >"$1/etc/shadow"
    chmod 600 "$1/etc/shadow"
}

# Modules lie flat in one directory; the file `order` names each after those it needs.
copy_modules() {
    local tree version name file
    version=$(ls "$WORK/kernel/lib/modules")
    tree=$WORK/kernel/lib/modules/$version
    busybox depmod -b "$WORK/kernel" "$version"
    for name in "${MODULES[@]}"; do
        modules_in_order "$tree/modules.dep" "$name" | while read -r file; do
            grep -qsx "$(basename "$file")" "$1/order" && continue
            cp "$tree/$file" "$1/"
            basename "$file" >>"$1/order"
        done
    done
}

# modules.dep lists after a module what it needs, the deepest need last. What is built in is not there.
modules_in_order() {
    awk -v "name=${2//_/[-_]}" '
        $1 ~ "/" name "[.]ko(|[.]xz|[.]zst):$" { sub(":$", "", $1); for (i = NF; i >= 1; i--) print $i }' "$1"
}

make_boot_partition() {
    local image=$WORK/boot.img
    truncate -s "${BOOT_MB}M" "$image"
    mkfs.vfat -F 16 -n TINY -h 2048 "$image" >/dev/null
    mcopy -i "$image" "$WORK"/kernel/boot/vmlinuz-* ::vmlinuz
    mcopy -i "$image" "$WORK/initramfs" ::initramfs
    mcopy -i "$image" "$HERE/syslinux.cfg" ::syslinux.cfg
    MTOOLS_SKIP_CHECK=1 syslinux --install "$image"
}

make_data_partition() {
    truncate -s "${DATA_MB}M" "$WORK/data.img"
    mke2fs -q -F -t ext4 -O ^has_journal -m 0 -L tiny-data "$WORK/data.img"
}

assemble_disk() {
    local disk=$WORK/disk.raw
    truncate -s "$((1 + BOOT_MB + DATA_MB))M" "$disk"
    sfdisk -q "$disk" <<TABLE
label: dos
start=2048, size=$((BOOT_MB * 2048)), type=0e, bootable
start=$((2048 + BOOT_MB * 2048)), size=$((DATA_MB * 2048)), type=83
TABLE
    dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$WORK/boot.img" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
    dd if="$WORK/data.img" of="$disk" bs=1M seek="$((1 + BOOT_MB))" conv=notrunc,sparse status=none
    mkdir -p "$(dirname "$OUTPUT")"
    qemu-img convert -f raw -O qcow2 "$disk" "$OUTPUT.part"
    mv "$OUTPUT.part" "$OUTPUT"
}

main
